-- Orgs, newest first, as operators list them: without it each page read and sorted all of them.
-- Only new orgs pay for it; updates do not touch it.
CREATE INDEX account_balance_opened ON account_balance (opened_at DESC, org_id DESC);
