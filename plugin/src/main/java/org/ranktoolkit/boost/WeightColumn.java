package org.ranktoolkit.boost;

import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.lucene.index.DocValues;
import org.apache.lucene.index.DocValuesType;
import org.apache.lucene.index.FieldInfo;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.SortedDocValues;
import org.apache.lucene.index.SortedSetDocValues;
import org.apache.lucene.index.Terms;
import org.apache.lucene.index.TermsEnum;
import org.apache.lucene.util.BytesRef;

/** Weights by the value of a keyword field in one segment: values are looked up once, documents by ordinal. */
final class WeightColumn {
    private static final int DENSE = 1 << 12; // values in a segment up to which a table by ordinal is worth its bytes

    private final SortedDocValues single; // null where a document has several values
    private final SortedSetDocValues several;
    private final double[] byOrd; // null where the segment has many values
    private final int[] ords; // sorted; empty where byOrd is there
    private final double[] weights; // of ords
    private final double others;
    private final double max;

    static WeightColumn open(LeafReader reader, FactorSpec.Values factor) throws IOException {
        FieldInfo info = reader.getFieldInfos().fieldInfo(factor.field());
        if (info != null && info.getDocValuesType() == DocValuesType.BINARY) {
            throw Keys.error("field [" + factor.field() + "] keeps its doc values unsorted, without ordinals");
        }
        return new WeightColumn(reader, factor);
    }

    private WeightColumn(LeafReader reader, FactorSpec.Values factor) throws IOException {
        SortedSetDocValues values = DocValues.getSortedSet(reader, factor.field());
        this.single = DocValues.unwrapSingleton(values);
        this.several = single == null ? values : null;
        this.others = factor.others();
        Map<Integer, Double> found = lookUp(values, factor.weights());
        int n = (int) values.getValueCount();
        this.ords = n <= DENSE ? new int[0] : found.keySet().stream().mapToInt(i -> i).sorted().toArray();
        this.weights = Arrays.stream(ords).mapToDouble(found::get).toArray();
        if (n <= DENSE) {
            this.byOrd = new double[n];
            Arrays.fill(byOrd, others);
            found.forEach((ord, weight) -> byOrd[ord] = weight);
        } else {
            this.byOrd = null;
        }
        boolean hasOthers = found.size() < n || someLack(reader, factor.field());
        double highest = hasOthers ? others : 0;
        for (double weight : found.values()) {
            highest = Math.max(highest, weight);
        }
        this.max = highest;
    }

    /** The highest weight that a document of the segment may have. */
    double max() {
        return max;
    }

    double weight(int doc) throws IOException {
        int ord;
        if (single != null) {
            if (single.advanceExact(doc) == false) {
                return others;
            }
            ord = single.ordValue();
        } else {
            if (several.advanceExact(doc) == false) {
                return others;
            }
            ord = (int) several.nextOrd();
        }
        if (byOrd != null) {
            return byOrd[ord];
        }
        int at = Arrays.binarySearch(ords, ord);
        return at < 0 ? others : weights[at];
    }

    private static Map<Integer, Double> lookUp(SortedSetDocValues values, Map<String, Double> weights)
            throws IOException {
        Map<Integer, Double> found = new HashMap<>();
        if (values.getValueCount() <= weights.size()) { // fewer reads
            TermsEnum terms = values.termsEnum();
            for (BytesRef term = terms.next(); term != null; term = terms.next()) {
                Double weight = weights.get(term.utf8ToString());
                if (weight != null) {
                    found.put((int) terms.ord(), weight);
                }
            }
            return found;
        }
        for (Map.Entry<String, Double> entry : weights.entrySet()) {
            long ord = values.lookupTerm(new BytesRef(entry.getKey()));
            if (ord >= 0) {
                found.put((int) ord, entry.getValue());
            }
        }
        return found;
    }

    /** Whether a document may lack the field; true also where nobody counted. */
    private static boolean someLack(LeafReader reader, String field) throws IOException {
        Terms terms = reader.terms(field);
        return terms == null || terms.getDocCount() < reader.maxDoc();
    }
}
