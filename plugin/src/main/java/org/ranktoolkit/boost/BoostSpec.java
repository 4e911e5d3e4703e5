package org.ranktoolkit.boost;

import java.util.List;
import java.util.Map;

/**
 * The formula as it was asked for: {@code final = combined(rel, image) * freshness * factor 1 * factor 2 ...}.
 *
 * @param image null where the image has no part
 * @param freshness null where age has no part
 */
record BoostSpec(ImageSpec image, FreshnessSpec freshness, List<FactorSpec> factors) {
    /** From the keys {@code image}, {@code freshness} and {@code factors}, as {@link ObjectReader} reads them. */
    static BoostSpec parse(Map<String, Object> parts) {
        ImageSpec image = parts.containsKey("image") ? ImageSpec.parse(Keys.of("image", parts.get("image"))) : null;
        FreshnessSpec freshness = parts.containsKey("freshness")
                ? FreshnessSpec.parse(Keys.of("freshness", parts.get("freshness")))
                : null;
        List<FactorSpec> factors =
                parts.containsKey("factors") ? FactorSpec.parseAll("factors", parts.get("factors")) : List.of();
        return new BoostSpec(image, freshness, factors);
    }
}
