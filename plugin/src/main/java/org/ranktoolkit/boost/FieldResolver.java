package org.ranktoolkit.boost;

/** Finds out how the fields of a formula are stored. Each method refuses a field it cannot use, naming the key. */
interface FieldResolver {
    NumericField number(String key, String field);

    NumericField date(String key, String field);

    /** The name of a keyword field's doc values. */
    String keyword(String key, String field);
}
