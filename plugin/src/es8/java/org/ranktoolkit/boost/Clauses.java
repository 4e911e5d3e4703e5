package org.ranktoolkit.boost;

import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.Query;

/** The clauses of a bool query, in the words of Lucene 9. */
final class Clauses {
    private Clauses() {}

    /** Those that add to its score. */
    static List<Query> scoring(BooleanQuery query) {
        List<Query> found = new ArrayList<>();
        for (BooleanClause clause : query) {
            if (clause.isScoring()) {
                found.add(clause.getQuery());
            }
        }
        return found;
    }
}
