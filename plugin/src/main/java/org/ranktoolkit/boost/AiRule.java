package org.ranktoolkit.boost;

/**
 * What a photo that is probably AI-generated may score.
 *
 * @param above applies where the probability is greater
 * @param caps whether {@code score} is a cap, or what such a photo scores whatever it has
 */
record AiRule(String field, double above, boolean caps, double score) {
    static AiRule parse(Keys keys) {
        String field = keys.string("field");
        double above = keys.number("above", 0, 1, 0.5);
        if (keys.has("cap") == keys.has("neutral")) {
            throw Keys.error(keys.path("cap") + " or " + keys.path("neutral") + ": give one of the two");
        }
        boolean caps = keys.has("cap");
        double score = keys.number(caps ? "cap" : "neutral", 0, 1);
        keys.end();
        return new AiRule(field, above, caps, score);
    }

    @Override
    public String toString() {
        return (caps ? "at most " : "") + score + " where " + field + " > " + above;
    }

    double apply(double x) {
        return caps ? Math.min(x, score) : score;
    }

    /** At least what any photo gets whose score is at most {@code x}. */
    double upper(double x) {
        return caps ? x : Math.max(x, score);
    }
}
