package org.ranktoolkit.boost;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How age lowers a score: {@code ranking/freshness.py}, operation by operation.
 *
 * @param origin the clock, epoch ms
 * @param scale ms past {@code offset} where the factor equals {@code decay}
 * @param offset ms around the origin without decay
 * @param missing factor of a document without a date, in [0, 1]
 * @param shape the curve's one constant: gauss in ms², exp in 1/ms, linear in ms
 */
record FreshnessSpec(
        String field, Curve curve, long origin, long scale, long offset, double decay, double missing, double shape) {
    enum Curve {
        GAUSS,
        EXP,
        LINEAR
    }

    private static final long MAX_MS = 1L << 53; // a double holds every whole number up to here
    private static final Pattern DURATION = Pattern.compile("([0-9]{1,15}) ?(ms|s|m|h|d)");

    static FreshnessSpec parse(Keys keys) {
        String field = keys.string("field");
        Curve curve = keys.word("curve", Curve.class, Curve.GAUSS);
        long origin = origin(keys.path("origin"), keys.take("origin"));
        long scale = duration(keys.path("scale"), keys.take("scale"));
        if (scale == 0) {
            throw Keys.error(keys.path("scale") + " must be longer than 0");
        }
        long offset = keys.has("offset") ? duration(keys.path("offset"), keys.take("offset")) : 0;
        double decay = keys.has("decay") ? keys.numberAbove("decay", 0, 1, true) : 0.5;
        double missing = keys.number("missing", 0, 1, 1);
        keys.end();
        return new FreshnessSpec(field, curve, origin, scale, offset, decay, missing, shape(curve, scale, decay));
    }

    /** The factor of a document created at {@code created} epoch ms. */
    double at(double created) {
        return atDistance(distance(created));
    }

    double distance(double created) {
        return Math.max(0.0, Math.abs(created - (double) origin) - (double) offset);
    }

    double atDistance(double distance) {
        return switch (curve) {
            case GAUSS -> Math.exp(0.5 * (distance * distance) / shape);
            case EXP -> Math.exp(shape * distance);
            case LINEAR -> Math.max(0.0, (shape - distance) / shape);
        };
    }

    /** At least the factor of every document created in [{@code first}, {@code last}]. */
    double upper(double first, double last) {
        double nearest = Math.max(first, Math.min(last, (double) origin));
        return Transform.slack(at(nearest));
    }

    private static double shape(Curve curve, long scaleMs, double decay) {
        double scale = scaleMs;
        return switch (curve) {
            case GAUSS -> 0.5 * (scale * scale) / Math.log(decay);
            case EXP -> Math.log(decay) / scale;
            case LINEAR -> scale / (1.0 - decay);
        };
    }

    private static long origin(String path, Object value) {
        if (value instanceof Long ms && Math.abs(ms) <= MAX_MS) {
            return ms;
        }
        throw Keys.wrong(
                path, "must be a whole number of epoch milliseconds, so that a search can be replayed", value);
    }

    private static long duration(String path, Object value) {
        if (value instanceof String text) {
            Matcher match = DURATION.matcher(text);
            if (match.matches()) {
                long unit =
                        switch (match.group(2)) {
                            case "ms" -> 1;
                            case "s" -> 1_000;
                            case "m" -> 60_000;
                            case "h" -> 3_600_000;
                            default -> 86_400_000;
                        };
                long count = Long.parseLong(match.group(1));
                if (count <= MAX_MS / unit) {
                    return count * unit;
                }
            }
        }
        throw Keys.wrong(path, "must be a whole number with ms, s, m, h or d, such as \"14d\"", value);
    }
}
