ALTER TABLE orders ADD COLUMN gift_wrapping INTEGER NOT NULL DEFAULT 0;
UPDATE orders SET gift_wrapping = 1 WHERE gift_wraping_requested = 1;
