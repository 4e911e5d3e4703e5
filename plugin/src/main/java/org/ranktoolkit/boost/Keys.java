package org.ranktoolkit.boost;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * The keys of one JSON object, taken one by one: each has its type and range, and none may be left at the end.
 *
 * <p>Every error is an {@link IllegalArgumentException} that names the key's whole path and the value found.
 */
final class Keys {
    static final double MAX_WEIGHT = 1e6;

    private final String path;
    private final Map<String, Object> left;

    Keys(String path, Map<String, Object> object) {
        this.path = path;
        this.left = new LinkedHashMap<>(object);
    }

    /** The object under {@code path}. */
    @SuppressWarnings("unchecked") // ObjectReader makes only maps of strings
    static Keys of(String path, Object value) {
        if (value instanceof Map<?, ?> map) {
            return new Keys(path, (Map<String, Object>) map);
        }
        throw wrong(path, "must be an object", value);
    }

    /** The list under {@code path}, of {@code least} to {@code most} elements. */
    static List<?> list(String path, Object value, int least, int most) {
        if (value instanceof List<?> list) {
            if (list.size() < least || list.size() > most) {
                throw error(path + " must have " + least + " to " + most + " elements, got " + list.size());
            }
            return list;
        }
        throw wrong(path, "must be a list", value);
    }

    static IllegalArgumentException error(String message) {
        return new IllegalArgumentException("[" + RankBoostQueryBuilder.NAME + "] " + message);
    }

    String path(String key) {
        return path + "." + key;
    }

    boolean has(String key) {
        return left.containsKey(key);
    }

    Object take(String key) {
        if (left.containsKey(key)) {
            return left.remove(key);
        }
        throw error(path(key) + " is missing");
    }

    String string(String key) {
        Object value = take(key);
        if (value instanceof String text && text.isEmpty() == false) {
            return text;
        }
        throw wrong(path(key), "must be a non-empty string", value);
    }

    String string(String key, String absent) {
        return has(key) ? string(key) : absent;
    }

    /** One of some words, by its lower-case name. */
    <E extends Enum<E>> E word(String key, Class<E> words, E absent) {
        if (absent != null && has(key) == false) {
            return absent;
        }
        String text = string(key);
        List<String> names = new ArrayList<>();
        for (E word : words.getEnumConstants()) {
            String name = word.name().toLowerCase(Locale.ROOT);
            if (name.equals(text)) {
                return word;
            }
            names.add(name);
        }
        throw error(path(key) + " must be one of " + String.join(", ", names) + ", got [" + text + "]");
    }

    /** A finite number in [{@code least}, {@code most}]. */
    double number(String key, double least, double most) {
        return number(path(key), take(key), least, most);
    }

    double number(String key, double least, double most, double absent) {
        return has(key) ? number(key, least, most) : absent;
    }

    static double number(String path, Object value, double least, double most) {
        if (value instanceof Number number) {
            double found = number.doubleValue();
            if (found >= least && found <= most) {
                return found;
            }
            throw wrong(path, "must be in [" + plain(least) + ", " + plain(most) + "]", value);
        }
        throw wrong(path, "must be a number", value);
    }

    /** A finite number in ({@code above}, {@code most}], or below {@code most} where {@code open}. */
    double numberAbove(String key, double above, double most, boolean open) {
        Object value = take(key);
        double found = number(path(key), value, -Double.MAX_VALUE, Double.MAX_VALUE);
        if (found > above && (open ? found < most : found <= most)) {
            return found;
        }
        throw wrong(path(key), "must be in (" + plain(above) + ", " + plain(most) + (open ? ")" : "]"), value);
    }

    double weight(String key) {
        return number(key, 0, MAX_WEIGHT);
    }

    /** Nothing may be left. */
    void end() {
        Set<String> unknown = left.keySet();
        if (unknown.isEmpty() == false) {
            throw error("unknown key " + path(unknown.iterator().next()));
        }
    }

    static IllegalArgumentException wrong(String path, String must, Object value) {
        return error(path + " " + must + ", got " + shown(value));
    }

    private static String shown(Object value) {
        if (value instanceof Map<?, ?>) {
            return "an object";
        }
        if (value instanceof List<?>) {
            return "a list";
        }
        String text = value instanceof String ? "[" + value + "]" : String.valueOf(value);
        return text.length() > 100 ? text.substring(0, 100) + "..." : text;
    }

    private static String plain(double bound) {
        return bound == Math.rint(bound) && Math.abs(bound) < 1e15
                ? Long.toString((long) bound)
                : Double.toString(bound);
    }
}
