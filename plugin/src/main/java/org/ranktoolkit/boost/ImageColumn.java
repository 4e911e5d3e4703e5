package org.ranktoolkit.boost;

import java.io.IOException;
import org.apache.lucene.index.LeafReader;

/** The image term of each document of one segment. */
final class ImageColumn {
    private final ImageSpec spec;
    private final NumericColumn scores;
    private final NumericColumn generated; // null where no rule asks

    ImageColumn(LeafReader reader, Formula formula) throws IOException {
        this.spec = formula.spec().image();
        this.scores = NumericColumn.open(reader, formula.image());
        this.generated = formula.ai() == null ? null : NumericColumn.open(reader, formula.ai());
    }

    double term(int doc) throws IOException {
        return spec.transform().apply(ruled(doc, raw(doc)));
    }

    /** The indexed score, or {@code missing}. */
    double raw(int doc) throws IOException {
        return scores.advanceExact(doc) ? scores.value() : spec.missing();
    }

    /** After the rule for AI-generated photos. */
    double ruled(int doc, double raw) throws IOException {
        if (generated != null && generated.advanceExact(doc) && generated.value() > spec.ai().above()) {
            return spec.ai().apply(raw);
        }
        return raw;
    }

    /** At least the term of any document whose score is {@code raw} or lower, down to 0. */
    static double upper(ImageSpec spec, double raw) {
        return spec.transform().upper(spec.ai() == null ? raw : spec.ai().upper(raw));
    }
}
