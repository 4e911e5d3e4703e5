package org.ranktoolkit.boost;

/**
 * How the image score enters: {@code rel + weight * image} or {@code rel * (1 - weight + weight * image)}.
 *
 * @param missing image score of an unscored document, in [0, 1]
 * @param ai the rule for AI-generated photos; null where there is none
 */
record ImageSpec(String field, Mode mode, double weight, double missing, Transform transform, AiRule ai) {
    enum Mode {
        ADDITIVE,
        MULTIPLICATIVE
    }

    static ImageSpec parse(Keys keys) {
        String field = keys.string("field");
        Mode mode = keys.word("mode", Mode.class, null);
        double weight = 1;
        if (keys.has("weight")) {
            weight = keys.weight("weight");
            if (mode == Mode.MULTIPLICATIVE && weight > 1) {
                throw Keys.error(
                        keys.path("weight") + " must be in [0, 1] for a multiplicative boost, got " + weight);
            }
        }
        double missing = keys.number("missing", 0, 1, 0);
        Transform transform = keys.has("transform")
                ? Transform.parse(Keys.of(keys.path("transform"), keys.take("transform")))
                : new Transform.Identity();
        AiRule ai = keys.has("ai_generated")
                ? AiRule.parse(Keys.of(keys.path("ai_generated"), keys.take("ai_generated")))
                : null;
        keys.end();
        return new ImageSpec(field, mode, weight, missing, transform, ai);
    }

    /** Relevance and image together; the constants and the order are those of {@code ranking/painless.py}. */
    double combine(double rel, double image) {
        return mode == Mode.ADDITIVE
                ? rel * (1.0 + 0.0 * image) + weight * image
                : rel * ((1.0 - weight) + weight * image) + 0.0 * image;
    }
}
