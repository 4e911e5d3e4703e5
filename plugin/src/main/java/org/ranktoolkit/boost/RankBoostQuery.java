package org.ranktoolkit.boost;

import java.io.IOException;
import java.util.Objects;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Weight;

/** An inner query whose score goes through a formula; it matches what the inner query matches. */
final class RankBoostQuery extends Query {
    private final Query inner;
    private final Formula formula;
    private final SegmentCache cache;

    RankBoostQuery(Query inner, Formula formula, SegmentCache cache) {
        this.inner = inner;
        this.formula = formula;
        this.cache = cache;
    }

    @Override
    public Query rewrite(IndexSearcher searcher) throws IOException {
        Query rewritten = inner.rewrite(searcher);
        if (rewritten instanceof MatchNoDocsQuery) {
            return rewritten;
        }
        return rewritten == inner ? this : new RankBoostQuery(rewritten, formula, cache);
    }

    @Override
    public Weight createWeight(IndexSearcher searcher, ScoreMode mode, float boost) throws IOException {
        // As in script_score, the boost multiplies the final score and does not reach the inner query.
        Weight weight = searcher.createWeight(inner, mode, mode.needsScores() ? 1f : boost);
        if (mode.needsScores() == false) {
            return weight;
        }
        boolean skips = mode == ScoreMode.TOP_SCORES;
        HighestRelevance highest = skips ? HighestRelevance.of(inner, searcher) : HighestRelevance.UNKNOWN;
        return new BoostWeight(this, weight, formula, skips, boost, cache, highest);
    }

    @Override
    public void visit(QueryVisitor visitor) {
        inner.visit(visitor.getSubVisitor(BooleanClause.Occur.MUST, this));
    }

    @Override
    public String toString(String field) {
        return "rank_boost(" + inner.toString(field) + ", " + formula.spec() + ")";
    }

    @Override
    public boolean equals(Object other) {
        return sameClassAs(other)
                && inner.equals(((RankBoostQuery) other).inner)
                && formula.equals(((RankBoostQuery) other).formula);
    }

    @Override
    public int hashCode() {
        return Objects.hash(classHash(), inner, formula);
    }
}
