package org.ranktoolkit.boost;

import java.io.IOException;
import org.apache.lucene.search.BulkScorer;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.LeafCollector;
import org.apache.lucene.search.Scorable;
import org.apache.lucene.util.Bits;

/** The inner bulk scorer, so that its own machinery runs; the collector sees the formula's scores. */
final class BoostBulkScorer extends BulkScorer {
    private final BulkScorer inner;
    private final LeafFormula formula;
    private final boolean skips;
    private final Prefilters prefilters; // null where none may be used
    private Wrapped wrapped;

    BoostBulkScorer(BulkScorer inner, LeafFormula formula, boolean skips, Prefilters prefilters) {
        this.inner = inner;
        this.formula = formula;
        this.skips = skips;
        this.prefilters = prefilters;
    }

    @Override
    public long cost() {
        return inner.cost();
    }

    @Override
    public int score(LeafCollector collector, Bits live, int min, int max) throws IOException {
        if (wrapped == null || wrapped.out != collector) {
            wrapped = new Wrapped(collector);
        }
        Prefilter prefilter = prefilters == null ? null : prefilters.get();
        if (prefilter == null) {
            return inner.score(wrapped, live, min, max);
        }
        int end = Math.min(max, prefilter.length());
        int next = min;
        while ((next = prefilter.nextBlock(next, end)) < end) {
            int upTo = prefilter.endOfBlocks(next, end);
            next = Math.max(upTo, inner.score(wrapped, prefilter.over(live), next, upTo));
        }
        return next < prefilter.length() ? next : DocIdSetIterator.NO_MORE_DOCS;
    }

    /** Between the inner scorer and the collector. */
    private final class Wrapped extends Scorable implements LeafCollector {
        private final LeafCollector out;
        private Scorable rel;
        private int doc = -1;

        Wrapped(LeafCollector out) {
            this.out = out;
        }

        @Override
        public void setScorer(Scorable scorer) throws IOException {
            rel = scorer;
            out.setScorer(this);
        }

        @Override
        public void collect(int found) throws IOException {
            doc = found;
            out.collect(found);
        }

        @Override
        public float score() throws IOException {
            return formula.score(doc, rel.score());
        }

        @Override
        public void setMinCompetitiveScore(float least) throws IOException {
            if (skips) {
                rel.setMinCompetitiveScore(formula.setThreshold(least));
            }
        }

        @Override
        public DocIdSetIterator competitiveIterator() throws IOException {
            return out.competitiveIterator();
        }

        @Override
        public void finish() throws IOException {
            out.finish();
        }

        /** Part of {@link Scorable} up to Lucene 9. */
        public int docID() {
            return doc;
        }
    }
}
