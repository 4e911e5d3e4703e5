package org.ranktoolkit.boost;

import java.io.IOException;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.BulkScorer;
import org.apache.lucene.search.FilterWeight;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.Scorer;
import org.apache.lucene.search.ScorerSupplier;
import org.apache.lucene.search.Weight;

/** A weight that matches as another does and scores differently, in the words of Lucene 10. */
abstract class VersionedWeight extends FilterWeight {
    VersionedWeight(Query query, Weight inner) {
        super(query, inner);
    }

    abstract Scorer wrap(Scorer inner, LeafReaderContext context) throws IOException;

    abstract BulkScorer wrap(BulkScorer inner, LeafReaderContext context) throws IOException;

    @Override
    public ScorerSupplier scorerSupplier(LeafReaderContext context) throws IOException {
        ScorerSupplier inner = in.scorerSupplier(context);
        if (inner == null) {
            return null;
        }
        return new ScorerSupplier() {
            @Override
            public Scorer get(long leadCost) throws IOException {
                return wrap(inner.get(leadCost), context);
            }

            @Override
            public BulkScorer bulkScorer() throws IOException {
                return wrap(inner.bulkScorer(), context);
            }

            @Override
            public long cost() {
                return inner.cost();
            }

            @Override
            public void setTopLevelScoringClause() throws IOException {
                inner.setTopLevelScoringClause();
            }
        };
    }

    @Override
    public int count(LeafReaderContext context) throws IOException {
        return in.count(context);
    }
}
