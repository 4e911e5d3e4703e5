package org.ranktoolkit.boost;

import java.io.IOException;
import java.util.Objects;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BulkScorer;
import org.apache.lucene.search.FilterScorer;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Scorer;
import org.apache.lucene.search.Weight;

/** Matches what the inner query matches, and scores one part of the formula: for {@code matched_queries}. */
final class PartQuery extends Query {
    private final Query inner;
    private final Formula formula;
    private final Part part;
    private final SegmentCache cache;

    PartQuery(Query inner, Formula formula, Part part, SegmentCache cache) {
        this.inner = inner;
        this.formula = formula;
        this.part = part;
        this.cache = cache;
    }

    @Override
    public Query rewrite(IndexSearcher searcher) throws IOException {
        Query rewritten = inner.rewrite(searcher);
        return rewritten == inner ? this : new PartQuery(rewritten, formula, part, cache);
    }

    @Override
    public Weight createWeight(IndexSearcher searcher, ScoreMode mode, float boost) throws IOException {
        return new VersionedWeight(this, inner.createWeight(searcher, ScoreMode.COMPLETE_NO_SCORES, 1f)) {
            @Override
            Scorer wrap(Scorer scorer, LeafReaderContext context) throws IOException {
                LeafFormula leaf = new LeafFormula(context.reader(), formula, 1f, cache);
                return new FilterScorer(scorer) {
                    @Override
                    public float score() throws IOException {
                        return (float) leaf.part(part, docID());
                    }

                    @Override
                    public float getMaxScore(int upTo) {
                        return Float.POSITIVE_INFINITY;
                    }
                };
            }

            @Override
            BulkScorer wrap(BulkScorer bulk, LeafReaderContext context) throws IOException {
                return new DefaultBulkScorer(scorer(context));
            }
        };
    }

    @Override
    public void visit(QueryVisitor visitor) {
        inner.visit(visitor.getSubVisitor(BooleanClause.Occur.MUST, this));
    }

    @Override
    public String toString(String field) {
        return part + " of rank_boost(" + inner.toString(field) + ")";
    }

    @Override
    public boolean equals(Object other) {
        return sameClassAs(other)
                && inner.equals(((PartQuery) other).inner)
                && formula.equals(((PartQuery) other).formula)
                && part.equals(((PartQuery) other).part);
    }

    @Override
    public int hashCode() {
        return Objects.hash(classHash(), inner, formula, part);
    }
}
