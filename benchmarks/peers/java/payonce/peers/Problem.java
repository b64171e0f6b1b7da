package payonce.peers;

/** The answers that are no charge: `application/problem+json` in RFC 8785 form. */
enum Problem {
    CARD_DECLINED(402, "Card declined", "The card was declined."),
    COMMAND_EXPIRED(409, "Command expired",
            "The command came too late to be executed; nothing was done."
                    + " Check what happened before, then use a new key."),
    IDEMPOTENCY_KEY_REUSED(422, "Idempotency key reused",
            "This idempotency key was used for another request; use a new key for a new request."),
    INVALID_JSON(400, "Invalid JSON", "The body is not valid JSON."),
    INVALID_REQUEST(400, "Invalid request", "The body does not obey the rules of this operation.");

    final int status;
    private final String title;
    private final String detail;
    private final String code = name().toLowerCase(java.util.Locale.ROOT);

    Problem(int status, String title, String detail) {
        this.status = status;
        this.title = title;
        this.detail = detail;
    }

    static Problem of(String code) {
        return valueOf(code.toUpperCase(java.util.Locale.ROOT));
    }

    void write(Bytes out, String ownDetail) {
        out.ascii("{");
        writeFromCode(out, null, ownDetail != null ? ownDetail : detail);
    }

    /** With the two members that only a decline has, in their sorted places. */
    void writeDecline(Bytes out, String chargeId, String declineCode) {
        out.ascii("{\"charge_id\":\"").ascii(chargeId).ascii("\",");
        writeFromCode(out, declineCode, switch (declineCode) {
            case "insufficient_funds" -> "The card was declined: insufficient funds.";
            case "expired" -> "The card was declined: it has expired.";
            case "incorrect_cvc" -> "The card was declined: the security code is wrong.";
            case "processing_error" -> "The card was declined: an error occurred while processing it.";
            default -> detail;
        });
    }

    private void writeFromCode(Bytes out, String declineCode, String said) {
        out.ascii("\"code\":\"").ascii(code).ascii("\"");
        if (declineCode != null) {
            out.ascii(",\"decline_code\":\"").ascii(declineCode).ascii("\"");
        }
        out.ascii(",\"detail\":").text(said)
                .ascii(",\"status\":").number(status)
                .ascii(",\"title\":\"").ascii(title)
                .ascii("\",\"type\":\"urn:payonce:problem:").ascii(code).ascii("\"}");
    }
}
