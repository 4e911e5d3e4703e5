package org.ranktoolkit.boost;

import java.util.List;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.plugins.SearchPlugin;

/** Registers the {@code rank_boost} query. */
public final class RankBoostPlugin extends Plugin implements SearchPlugin {
    @Override
    public List<QuerySpec<?>> getQueries() {
        return List.of(new QuerySpec<>(
                RankBoostQueryBuilder.NAME, RankBoostQueryBuilder::new, RankBoostQueryBuilder::fromXContent));
    }
}
