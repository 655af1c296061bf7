ALTER TABLE customers ADD COLUMN loyalty_tier TEXT NOT NULL DEFAULT 'clay';
UPDATE customers
SET loyalty_tier = CASE WHEN loyalty_points >= 1200 THEN 'gold' WHEN loyalty_points >= 600 THEN 'silver' ELSE 'clay' END;
CREATE INDEX customers_loyalty_tier ON customers (loyalty_tier);
