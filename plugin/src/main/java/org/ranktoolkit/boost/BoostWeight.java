package org.ranktoolkit.boost;

import java.io.IOException;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.BulkScorer;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.Scorer;
import org.apache.lucene.search.Weight;

/** The inner weight, its scores through the formula. */
final class BoostWeight extends VersionedWeight {
    private final Formula formula;
    private final boolean skips;
    private final float boost;
    private final SegmentCache cache;
    private final HighestRelevance highestRel;

    /**
     * @param skips whether only the best scores are asked for, so that documents may be left out
     */
    BoostWeight(Query query, Weight inner, Formula formula, boolean skips, float boost, SegmentCache cache, HighestRelevance highestRel) {
        super(query, inner);
        this.formula = formula;
        this.skips = skips;
        this.boost = boost;
        this.cache = cache;
        this.highestRel = highestRel;
    }

    @Override
    Scorer wrap(Scorer inner, LeafReaderContext context) throws IOException {
        return new BoostScorer(inner, open(context), skips);
    }

    @Override
    BulkScorer wrap(BulkScorer inner, LeafReaderContext context) throws IOException {
        LeafFormula leaf = open(context);
        Prefilters prefilters = skips && leaf.isBounded() && context.reader().maxDoc() >= DocTable.MIN_DOCS
                ? new Prefilters(leaf, formula, context, highestRel, cache)
                : null;
        return new BoostBulkScorer(inner, leaf, skips, prefilters);
    }

    @Override
    public Explanation explain(LeafReaderContext context, int doc) throws IOException {
        Explanation inner = in.explain(context, doc);
        if (inner.isMatch() == false) {
            return inner;
        }
        Scorer scorer = in.scorer(context);
        scorer.iterator().advance(doc);
        return new ScoreExplanation(context.reader(), formula, open(context), doc).of(scorer.score(), inner, boost);
    }

    private LeafFormula open(LeafReaderContext context) throws IOException {
        return new LeafFormula(context.reader(), formula, boost, cache);
    }
}
