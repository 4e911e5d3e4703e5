package org.ranktoolkit.boost;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.ConstantScoreQuery;
import org.apache.lucene.search.DisjunctionMaxQuery;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.MatchAllDocsQuery;
import org.apache.lucene.search.PhraseQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Scorer;
import org.apache.lucene.search.SynonymQuery;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.Weight;

/**
 * The highest score that a query may give in a segment, from the impacts of its terms.
 *
 * <p>A scorer of the whole query would say it too, but would evaluate the filters a second time, and a range is
 * expensive to evaluate. Filters add nothing to a score, so only what scores is looked at.
 */
interface HighestRelevance {
    /** Nothing is known, so that no document may be left out. */
    HighestRelevance UNKNOWN = context -> Float.POSITIVE_INFINITY;

    /** At least the score of every document of the segment. */
    float in(LeafReaderContext context) throws IOException;

    /** For a rewritten query. */
    static HighestRelevance of(Query query, IndexSearcher searcher) throws IOException {
        return of(query, searcher, 1f);
    }

    private static HighestRelevance of(Query query, IndexSearcher searcher, float boost) throws IOException {
        if (query instanceof BoostQuery boosted) {
            return of(boosted.getQuery(), searcher, boost * boosted.getBoost());
        }
        if (query instanceof ConstantScoreQuery || query instanceof MatchAllDocsQuery) {
            return context -> boost;
        }
        if (query instanceof TermQuery || query instanceof SynonymQuery || query instanceof PhraseQuery) {
            Weight weight = query.createWeight(searcher, ScoreMode.TOP_SCORES, boost);
            return context -> {
                Scorer scorer = weight.scorer(context);
                return scorer == null ? 0 : scorer.getMaxScore(DocIdSetIterator.NO_MORE_DOCS);
            };
        }
        List<Query> scoring = new ArrayList<>();
        if (query instanceof BooleanQuery bool) {
            scoring.addAll(Clauses.scoring(bool));
        } else if (query instanceof DisjunctionMaxQuery max) {
            scoring.addAll(max.getDisjuncts()); // their sum is more than they can give together
        } else {
            return UNKNOWN;
        }
        List<HighestRelevance> parts = new ArrayList<>();
        for (Query part : scoring) {
            HighestRelevance highest = of(part, searcher, boost);
            if (highest == UNKNOWN) {
                return UNKNOWN;
            }
            parts.add(highest);
        }
        if (query instanceof DisjunctionMaxQuery max && max.getTieBreakerMultiplier() == 0) {
            return context -> {
                float highest = 0;
                for (HighestRelevance part : parts) {
                    highest = Math.max(highest, part.in(context));
                }
                return highest;
            };
        }
        return context -> {
            double sum = 0;
            for (HighestRelevance part : parts) {
                sum += part.in(context);
            }
            return (float) (sum * (1 + 1e-6)); // however the scorers round what they add up
        };
    }
}
