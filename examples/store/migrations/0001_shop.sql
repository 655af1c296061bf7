CREATE TABLE products (
    id           INTEGER PRIMARY KEY,
    slug         TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    category     TEXT NOT NULL,
    description  TEXT NOT NULL,
    price_cents  INTEGER NOT NULL CHECK (price_cents > 0),
    stock        INTEGER NOT NULL CHECK (stock >= 0),
    image        TEXT NOT NULL
);

CREATE TABLE customers (
    id              INTEGER PRIMARY KEY,
    email           TEXT NOT NULL,
    username        TEXT NOT NULL,
    first_name      TEXT NOT NULL,
    last_name       TEXT NOT NULL,
    full_name       TEXT GENERATED ALWAYS AS (first_name || ' ' || last_name) VIRTUAL,
    phone           TEXT,
    password_hash   TEXT NOT NULL,
    birth_date      TEXT,
    postcode        TEXT NOT NULL,
    address         TEXT NOT NULL CHECK (json_valid(address)),
    country         TEXT NOT NULL,
    loyalty_points  INTEGER NOT NULL DEFAULT 0,
    notes           TEXT,
    avatar          TEXT,
    last_ip         TEXT,
    referred_by     INTEGER REFERENCES customers (id),
    created_at      TEXT NOT NULL
);
CREATE UNIQUE INDEX customers_email ON customers (email);
CREATE UNIQUE INDEX customers_email_lower ON customers (lower(email));
CREATE UNIQUE INDEX customers_username ON customers (username);
CREATE INDEX customers_name ON customers (last_name, first_name);
CREATE INDEX customers_referred_by ON customers (referred_by) WHERE referred_by IS NOT NULL;

-- A guest's order has no customer; the e-mail address says whose it is.
CREATE TABLE orders (
    id                INTEGER PRIMARY KEY,
    number            TEXT GENERATED ALWAYS AS (printf('HC-%07d', id)) STORED,
    customer_id       INTEGER REFERENCES customers (id),
    customer_email    TEXT NOT NULL,
    shipping_name     TEXT NOT NULL,
    shipping_address  TEXT NOT NULL CHECK (json_valid(shipping_address)),
    status            TEXT NOT NULL CHECK (status IN ('placed', 'packed', 'sent', 'returned')),
    total_cents       INTEGER NOT NULL DEFAULT 0,
    card_last4        TEXT,
    remote_ip         TEXT,
    invoice           TEXT,
    access_token      TEXT NOT NULL UNIQUE,
    placed_at         TEXT NOT NULL
);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX orders_customer_email ON orders (customer_email);

CREATE TABLE order_items (
    order_id          INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    line              INTEGER NOT NULL,
    product_id        INTEGER NOT NULL REFERENCES products (id),
    quantity          INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 20),
    unit_price_cents  INTEGER NOT NULL,
    PRIMARY KEY (order_id, line)
);
CREATE INDEX order_items_product ON order_items (product_id);

CREATE TRIGGER order_items_added AFTER INSERT ON order_items BEGIN
    UPDATE orders SET total_cents = total_cents + NEW.quantity * NEW.unit_price_cents WHERE id = NEW.order_id;
END;
CREATE TRIGGER order_items_changed AFTER UPDATE OF quantity, unit_price_cents ON order_items BEGIN
    UPDATE orders
    SET total_cents = total_cents - OLD.quantity * OLD.unit_price_cents + NEW.quantity * NEW.unit_price_cents
    WHERE id = NEW.order_id;
END;
CREATE TRIGGER order_items_removed AFTER DELETE ON order_items BEGIN
    UPDATE orders SET total_cents = total_cents - OLD.quantity * OLD.unit_price_cents WHERE id = OLD.order_id;
END;
CREATE TRIGGER customers_email_changed AFTER UPDATE OF email ON customers BEGIN
    UPDATE orders SET customer_email = NEW.email WHERE customer_id = NEW.id;
END;

CREATE TABLE sessions (
    token        TEXT PRIMARY KEY,
    customer_id  INTEGER REFERENCES customers (id) ON DELETE CASCADE,
    ip           TEXT,
    user_agent   TEXT,
    created_at   TEXT NOT NULL,
    expires_at   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE cart_items (
    session_token  TEXT NOT NULL REFERENCES sessions (token) ON DELETE CASCADE ON UPDATE CASCADE,
    product_id     INTEGER NOT NULL REFERENCES products (id),
    quantity       INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 20),
    PRIMARY KEY (session_token, product_id)
) WITHOUT ROWID;
