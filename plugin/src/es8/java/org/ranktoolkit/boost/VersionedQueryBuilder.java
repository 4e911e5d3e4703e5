package org.ranktoolkit.boost;

import java.io.IOException;
import org.apache.lucene.search.Query;
import org.elasticsearch.TransportVersion;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.index.query.AbstractQueryBuilder;
import org.elasticsearch.index.query.QueryBuilder;
import org.elasticsearch.index.query.SearchExecutionContext;

/** What a query builder says differently to Elasticsearch 8. */
abstract class VersionedQueryBuilder<QB extends AbstractQueryBuilder<QB>> extends AbstractQueryBuilder<QB> {
    /** Makes the Lucene query of an inner builder. */
    interface ToQuery {
        Query of(QueryBuilder inner) throws IOException;
    }

    VersionedQueryBuilder() {}

    VersionedQueryBuilder(StreamInput in) throws IOException {
        super(in);
    }

    abstract Query toLucene(SearchExecutionContext context, ToQuery inner) throws IOException;

    @Override
    protected Query doToQuery(SearchExecutionContext context) throws IOException {
        return toLucene(context, inner -> inner.toQuery(context));
    }

    @Override
    public TransportVersion getMinimalSupportedVersion() {
        return TransportVersion.zero();
    }
}
