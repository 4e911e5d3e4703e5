package org.ranktoolkit.boost;

import java.io.IOException;
import org.apache.lucene.search.FilterScorer;
import org.apache.lucene.search.Scorer;

/** Document by document: the way inside other queries, rescoring and profiling. */
final class BoostScorer extends FilterScorer {
    private final LeafFormula formula;
    private final boolean skips;

    BoostScorer(Scorer inner, LeafFormula formula, boolean skips) {
        super(inner);
        this.formula = formula;
        this.skips = skips;
    }

    @Override
    public float score() throws IOException {
        return formula.score(docID(), in.score());
    }

    @Override
    public float getMaxScore(int upTo) throws IOException {
        return formula.bound(in.getMaxScore(upTo));
    }

    @Override
    public int advanceShallow(int target) throws IOException {
        return in.advanceShallow(target);
    }

    @Override
    public void setMinCompetitiveScore(float least) throws IOException {
        if (skips) {
            in.setMinCompetitiveScore(formula.setThreshold(least));
        }
    }
}
