package org.ranktoolkit.boost;

import org.elasticsearch.index.mapper.DateFieldMapper;
import org.elasticsearch.index.mapper.KeywordFieldMapper;
import org.elasticsearch.index.mapper.MappedFieldType;
import org.elasticsearch.index.mapper.NumberFieldMapper;
import org.elasticsearch.index.query.QueryShardException;
import org.elasticsearch.index.query.SearchExecutionContext;

/** Fields as the index maps them; an alias is followed. */
record MappedFields(SearchExecutionContext context) implements FieldResolver {
    @Override
    public NumericField number(String key, String field) {
        MappedFieldType type = mapped(key, field);
        if (type instanceof NumberFieldMapper.NumberFieldType) {
            return numeric(key, type);
        }
        throw refused(key, type, "must be a number (float, double, half_float, long, integer, short or byte)");
    }

    @Override
    public NumericField date(String key, String field) {
        MappedFieldType type = mapped(key, field);
        if (type instanceof DateFieldMapper.DateFieldType date) {
            if (date.resolution() == DateFieldMapper.Resolution.NANOSECONDS) {
                throw refused(key, type, "counts nanoseconds, and the formula milliseconds: map it as date");
            }
            return numeric(key, type);
        }
        if (type instanceof NumberFieldMapper.NumberFieldType && type.typeName().equals("long")) {
            return numeric(key, type);
        }
        throw refused(key, type, "must be a date, or a long of epoch milliseconds");
    }

    @Override
    public String keyword(String key, String field) {
        MappedFieldType type = mapped(key, field);
        if (type instanceof KeywordFieldMapper.KeywordFieldType == false) {
            throw refused(key, type, "must be a keyword");
        }
        return withDocValues(key, type).name();
    }

    private NumericField numeric(String key, MappedFieldType type) {
        return new NumericField(
                withDocValues(key, type).name(),
                switch (type.typeName()) {
                    case "float" -> NumericField.Encoding.FLOAT;
                    case "half_float" -> NumericField.Encoding.HALF_FLOAT;
                    case "double" -> NumericField.Encoding.DOUBLE;
                    case "integer", "short", "byte" -> NumericField.Encoding.INTEGER;
                    case "long", "date" -> NumericField.Encoding.LONG;
                    default -> throw refused(key, type, "is of a type that is not supported");
                });
    }

    private MappedFieldType mapped(String key, String field) {
        MappedFieldType type = context.getFieldType(field);
        if (type == null) {
            throw new QueryShardException(
                    context,
                    "[{}] {}: no field [{}] in the mapping of the index",
                    RankBoostQueryBuilder.NAME,
                    key,
                    field);
        }
        return type;
    }

    private MappedFieldType withDocValues(String key, MappedFieldType type) {
        if (type.hasDocValues() == false) {
            throw refused(key, type, "has no doc values");
        }
        return type;
    }

    private QueryShardException refused(String key, MappedFieldType type, String why) {
        return new QueryShardException(
                context,
                "[{}] {}: field [{}] of type [{}] {}",
                RankBoostQueryBuilder.NAME,
                key,
                type.name(),
                type.typeName(),
                why);
    }
}
