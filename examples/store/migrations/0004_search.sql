-- Filled by reindex.py: words of a product's name, category and description.
CREATE TABLE search_index (
    term        TEXT NOT NULL,
    product_id  INTEGER NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    weight      INTEGER NOT NULL,
    PRIMARY KEY (term, product_id)
) WITHOUT ROWID;
