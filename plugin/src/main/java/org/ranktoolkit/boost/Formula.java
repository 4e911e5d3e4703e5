package org.ranktoolkit.boost;

import java.util.ArrayList;
import java.util.List;

/**
 * The formula with its fields found in the mapping: what a query carries to each segment.
 *
 * @param image null where the spec has none; likewise the others
 */
record Formula(BoostSpec spec, NumericField image, NumericField ai, NumericField date, List<NumericField> numbers) {
    static Formula resolve(BoostSpec spec, FieldResolver fields) {
        ImageSpec image = spec.image();
        List<NumericField> numbers = new ArrayList<>();
        List<FactorSpec> factors = new ArrayList<>();
        for (int i = 0; i < spec.factors().size(); i++) {
            FactorSpec factor = spec.factors().get(i);
            String key = "factors[" + i + "].field";
            if (factor instanceof FactorSpec.Values values) {
                factors.add(new FactorSpec.Values(
                        fields.keyword(key, values.field()), values.weights(), values.others()));
                numbers.add(null);
            } else {
                factors.add(factor);
                numbers.add(fields.number(key, factor.field()));
            }
        }
        return new Formula(
                new BoostSpec(image, spec.freshness(), factors),
                image == null ? null : fields.number("image.field", image.field()),
                image == null || image.ai() == null
                        ? null
                        : fields.number("image.ai_generated.field", image.ai().field()),
                spec.freshness() == null
                        ? null
                        : fields.date("freshness.field", spec.freshness().field()),
                numbers);
    }
}
