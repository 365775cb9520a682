-- What counts no more in periods: nothing before cleared_day does, and of that day not what these say.
ALTER TABLE tk_term ADD COLUMN IF NOT EXISTS cleared_day integer;

ALTER TABLE tk_term ADD COLUMN IF NOT EXISTS day_seconds bigint NOT NULL DEFAULT 0;

ALTER TABLE tk_term ADD COLUMN IF NOT EXISTS day_input bigint NOT NULL DEFAULT 0;

ALTER TABLE tk_term ADD COLUMN IF NOT EXISTS day_output bigint NOT NULL DEFAULT 0;
