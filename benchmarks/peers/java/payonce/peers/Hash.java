package payonce.peers;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** SHA-256 as lower-case hex; one of these to a thread, since the digest and the buffer are used again. */
final class Hash {
    private static final byte[] HEX = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);

    private final MessageDigest digest;
    private final Bytes buffer = new Bytes();
    private final byte[] hex = new byte[64];

    Hash() {
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible); // every Java platform has it
        }
    }

    /** All 64 digits over what has been written. */
    String of(Bytes written) {
        return hex(written, 64);
    }

    /** `<prefix>_` and 32 digits over `<prefix> NUL merchant_id NUL command_id`. */
    String derived(String prefix, Command command) {
        buffer.clear().ascii(prefix).ascii("\0").ascii(command.merchantId).ascii("\0").ascii(command.commandId);
        return prefix + "_" + hex(buffer, 32);
    }

    @SuppressWarnings("deprecation") // bytes of ASCII to a string, without a decoder
    private String hex(Bytes written, int digits) {
        digest.update(written.array(), 0, written.length());
        byte[] sum = digest.digest();
        for (int at = 0; at < digits / 2; at++) {
            hex[2 * at] = HEX[sum[at] >> 4 & 15];
            hex[2 * at + 1] = HEX[sum[at] & 15];
        }
        return new String(hex, 0, 0, digits);
    }
}
