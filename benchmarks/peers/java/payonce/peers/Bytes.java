package payonce.peers;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * A growing array of bytes that knows how JSON is written.
 *
 * <p>Strings come out as RFC 8785 wants them: everything above U+001F but quote and backslash as it is, in UTF-8.
 * Jackson's generator writes upper-case escapes there, so writing is done here and only reading is Jackson's.
 */
final class Bytes {
    private static final byte[] HEX = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);

    /** For each ASCII character: 0 as it is, 'u' as \\u00xx, else the letter after the backslash. */
    private static final byte[] ESCAPES = new byte[128];

    static {
        Arrays.fill(ESCAPES, 0, 32, (byte) 'u');
        ESCAPES['\b'] = 'b';
        ESCAPES['\t'] = 't';
        ESCAPES['\n'] = 'n';
        ESCAPES['\f'] = 'f';
        ESCAPES['\r'] = 'r';
        ESCAPES['"'] = '"';
        ESCAPES['\\'] = '\\';
    }

    private byte[] array = new byte[2048];
    private int length;

    Bytes clear() {
        length = 0;
        return this;
    }

    byte[] array() {
        return array;
    }

    int length() {
        return length;
    }

    byte[] copy() {
        return Arrays.copyOf(array, length);
    }

    Bytes raw(byte[] some) {
        return raw(some, some.length);
    }

    Bytes raw(byte[] some, int count) {
        need(count);
        System.arraycopy(some, 0, array, length, count);
        length += count;
        return this;
    }

    /** A string of ASCII characters that need no escape: names, ids, numbers as text. */
    @SuppressWarnings("deprecation") // it copies the low bytes, which is what ASCII is
    Bytes ascii(String text) {
        int count = text.length();
        need(count);
        text.getBytes(0, count, array, length);
        length += count;
        return this;
    }

    Bytes number(long value) {
        return ascii(Long.toString(value));
    }

    /** A JSON string, or null. */
    Bytes text(String text) {
        if (text == null) {
            return ascii("null");
        }
        int count = text.length();
        need(6 * count + 2); // the longest that one UTF-16 unit becomes is \\u00xx
        array[length++] = '"';
        for (int at = 0; at < count; at++) {
            char unit = text.charAt(at);
            if (unit < 128) {
                put((byte) unit);
            } else if (unit < 0x800) {
                array[length++] = (byte) (0xC0 | unit >> 6);
                array[length++] = (byte) (0x80 | unit & 0x3F);
            } else if (Character.isHighSurrogate(unit) && at + 1 < count) {
                int point = Character.toCodePoint(unit, text.charAt(++at));
                array[length++] = (byte) (0xF0 | point >> 18);
                array[length++] = (byte) (0x80 | point >> 12 & 0x3F);
                array[length++] = (byte) (0x80 | point >> 6 & 0x3F);
                array[length++] = (byte) (0x80 | point & 0x3F);
            } else {
                array[length++] = (byte) (0xE0 | unit >> 12);
                array[length++] = (byte) (0x80 | unit >> 6 & 0x3F);
                array[length++] = (byte) (0x80 | unit & 0x3F);
            }
        }
        array[length++] = '"';
        return this;
    }

    /** A JSON string of what is UTF-8 already. */
    Bytes quoted(Bytes utf8) {
        need(6 * utf8.length + 2);
        array[length++] = '"';
        for (int at = 0; at < utf8.length; at++) {
            byte one = utf8.array[at];
            if (one >= 0) {
                put(one);
            } else {
                array[length++] = one;
            }
        }
        array[length++] = '"';
        return this;
    }

    private void put(byte ascii) {
        byte escape = ESCAPES[ascii];
        if (escape == 0) {
            array[length++] = ascii;
            return;
        }
        array[length++] = '\\';
        array[length++] = escape;
        if (escape == 'u') {
            array[length++] = '0';
            array[length++] = '0';
            array[length++] = HEX[ascii >> 4];
            array[length++] = HEX[ascii & 15];
        }
    }

    private void need(int more) {
        if (length + more > array.length) {
            array = Arrays.copyOf(array, Math.max(2 * array.length, length + more));
        }
    }
}
