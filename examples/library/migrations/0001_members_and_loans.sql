CREATE TYPE loan_state AS ENUM ('out', 'back', 'lost');
CREATE DOMAIN card_number AS text CHECK (VALUE ~ '^[0-9a-f]{40}$');

CREATE TABLE books (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    isbn text NOT NULL UNIQUE,
    title text NOT NULL,
    authors text[] NOT NULL,
    words tsvector GENERATED ALWAYS AS (to_tsvector('english', title)) STORED
);
CREATE INDEX books_words ON books USING gin (words);

CREATE TABLE members (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    card card_number NOT NULL UNIQUE,
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    phone text,
    born date,
    address jsonb NOT NULL DEFAULT '{}',
    notes text NOT NULL DEFAULT '',
    brought_by bigint REFERENCES members,
    joined timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE loans (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    member bigint NOT NULL REFERENCES members,
    book bigint NOT NULL REFERENCES books,
    during daterange NOT NULL,
    state loan_state NOT NULL DEFAULT 'out'
);
CREATE UNIQUE INDEX loans_one_at_a_time ON loans (book) WHERE state = 'out';

-- Letters that wait to be sent: a cron of the library sends them.
CREATE TABLE reminders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    loan bigint NOT NULL REFERENCES loans,
    email text NOT NULL,
    body text NOT NULL,
    due timestamptz NOT NULL
);

CREATE TABLE settings (
    name text PRIMARY KEY,
    value text NOT NULL
);
INSERT INTO settings VALUES ('mail_gateway', 'https://mail.example/send'), ('loan_days', '21');

CREATE MATERIALIZED VIEW favourites AS
    SELECT book, count(*) AS loans FROM loans GROUP BY book;

CREATE FUNCTION overdue(loan loans) RETURNS boolean STABLE LANGUAGE sql
    RETURN loan.state = 'out' AND upper(loan.during) < current_date;
