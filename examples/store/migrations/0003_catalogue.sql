-- What the shop sells is public and the same in every environment: five shapes in five glazes.
WITH shapes (slug, name, category, price, stock, description) AS (
    VALUES
    ('mug', 'Mug', 'Table', 2400, 400, 'Thrown on the wheel, with a foot that fits the hand. Holds 300 ml.'),
    ('bowl', 'Bowl', 'Table', 3200, 400, 'Wide and shallow, for soup, pasta or a heap of plums. 22 cm across.'),
    ('bottle', 'Bottle', 'Kitchen', 3900, 300, 'For oil or vinegar, with a narrow neck that pours without a drip. 500 ml.'),
    ('vase', 'Vase', 'Home', 5400, 250, 'A round belly and a small mouth: one branch is enough. 24 cm tall.'),
    ('lamp', 'Table lamp', 'Home', 12900, 120, 'A stoneware shade over a soft warm light. Textile cable, 2 m.')
),
glazes (slug, name, description) AS (
    VALUES
    ('sage', 'Sage', 'The glaze is a dry green that turns grey in the evening.'),
    ('ochre', 'Ochre', 'The glaze is iron and ash: yellow with rust at the rim.'),
    ('slate', 'Slate', 'The glaze is blue-black, with a satin surface.'),
    ('blush', 'Blush', 'The glaze is a pale pink over speckled clay.'),
    ('oat', 'Oat', 'The glaze is an off-white that shows every mark of the wheel.')
)
INSERT INTO products (slug, name, category, description, price_cents, stock, image)
SELECT g.slug || '-' || s.slug, g.name || ' ' || lower(s.name), s.category,
       s.description || ' ' || g.description, s.price, s.stock,
       'products/' || g.slug || '-' || s.slug || '.png'
FROM shapes s CROSS JOIN glazes g;
