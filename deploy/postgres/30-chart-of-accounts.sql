-- One account per department, and the bank. SPIRITS is missing on purpose: see integrations/payments-to-accounting.yaml.
CREATE TEMPORARY TABLE product (
    product_id text, manufacturer_id text, department text, brand text,
    product_category text, product_type text, package_size text
);
\copy product FROM '/data/products.csv' WITH (FORMAT csv, HEADER true)
INSERT INTO chart_of_accounts
SELECT DISTINCT department FROM product WHERE department <> 'SPIRITS'
UNION VALUES ('BANK'), ('UNKNOWN');
