-- The accounting system of the demo company: the rules that refuse a bad entry are its own, not mainstem's.
CREATE TABLE chart_of_accounts (
    account text PRIMARY KEY
);

CREATE TABLE journal_line (
    payment_id text NOT NULL,
    line_no integer NOT NULL,
    booked_at timestamptz NOT NULL,
    account text NOT NULL REFERENCES chart_of_accounts,
    debit numeric(12, 2) NOT NULL,
    credit numeric(12, 2) NOT NULL,
    discount numeric(12, 2) NOT NULL, -- a memo: what the customer did not pay, not part of the balance
    PRIMARY KEY (payment_id, line_no),
    CONSTRAINT amount_is_not_zero CHECK (debit <> credit),
    CONSTRAINT one_side_only CHECK (debit = 0 OR credit = 0)
);

CREATE FUNCTION entry_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    payment text := coalesce(NEW.payment_id, OLD.payment_id);
    difference numeric := (SELECT sum(debit) - sum(credit) FROM journal_line WHERE payment_id = payment);
BEGIN
    IF difference <> 0 THEN
        RAISE EXCEPTION 'entry % does not balance: debits minus credits is %', payment, difference
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER entry_balances AFTER INSERT OR UPDATE OR DELETE ON journal_line
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION entry_balances();
