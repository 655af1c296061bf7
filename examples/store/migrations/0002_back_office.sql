CREATE TABLE staff (
    id             INTEGER PRIMARY KEY,
    username       TEXT NOT NULL UNIQUE,
    email          TEXT NOT NULL UNIQUE,
    full_name      TEXT NOT NULL,
    password_hash  TEXT NOT NULL,
    role           TEXT NOT NULL CHECK (role IN ('owner', 'support', 'warehouse')),
    last_login_ip  TEXT
);

CREATE TABLE order_notes (
    id          INTEGER PRIMARY KEY,
    order_id    INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    staff_id    INTEGER REFERENCES staff (id),
    body        TEXT NOT NULL,
    created_at  TEXT NOT NULL
);
CREATE INDEX order_notes_order ON order_notes (order_id);

CREATE TABLE customer_notes (
    id           INTEGER PRIMARY KEY,
    customer_id  INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    staff_id     INTEGER REFERENCES staff (id),
    body         TEXT NOT NULL,
    created_at   TEXT NOT NULL
);
CREATE INDEX customer_notes_customer ON customer_notes (customer_id);

CREATE TABLE reviews (
    product_id   INTEGER NOT NULL REFERENCES products (id),
    customer_id  INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    signed       TEXT NOT NULL,
    stars        INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5),
    body         TEXT NOT NULL,
    PRIMARY KEY (product_id, customer_id)
);

CREATE TABLE newsletter (
    email              TEXT PRIMARY KEY,
    full_name          TEXT,
    signup_ip          TEXT,
    unsubscribe_token  TEXT NOT NULL UNIQUE,
    confirmed_at       TEXT
) WITHOUT ROWID;

CREATE TABLE mail_queue (
    id          INTEGER PRIMARY KEY,
    recipient   TEXT NOT NULL,
    subject     TEXT NOT NULL,
    body        TEXT NOT NULL,
    status      TEXT NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'sent')),
    created_at  TEXT NOT NULL
);
CREATE INDEX mail_queue_waiting ON mail_queue (created_at) WHERE status = 'waiting';

CREATE TABLE api_tokens (
    id            INTEGER PRIMARY KEY,
    integration   TEXT NOT NULL,
    token         TEXT NOT NULL UNIQUE,
    scopes        TEXT NOT NULL CHECK (json_valid(scopes)),
    last_used_ip  TEXT
);

CREATE TABLE config (
    path   TEXT PRIMARY KEY,
    value  TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO config (path, value) VALUES
    ('shop/name', 'Harbour & Clay'),
    ('shop/currency', 'EUR'),
    ('shop/base_url', 'http://localhost'),
    ('payment/mode', 'test');

CREATE VIEW order_overview AS
SELECT o.number, o.placed_at, o.status, o.total_cents, o.customer_email, c.full_name, c.phone,
       (SELECT count(*) FROM order_items i WHERE i.order_id = o.id) AS lines
FROM orders o
LEFT JOIN customers c ON c.email = o.customer_email;
