-- What counts no more in periods: nothing before cleared_day does, and of that day not what these say.
-- MySQL has no ADD COLUMN IF NOT EXISTS, and a file may be run again after it stopped in the middle.
SET @tk_add = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'tk_term' AND column_name = 'cleared_day') = 0,
    'ALTER TABLE tk_term ADD COLUMN cleared_day INT, ADD COLUMN day_seconds BIGINT NOT NULL DEFAULT 0, ADD COLUMN day_input BIGINT NOT NULL DEFAULT 0, ADD COLUMN day_output BIGINT NOT NULL DEFAULT 0', 'DO 0');
PREPARE tk_step FROM @tk_add;
EXECUTE tk_step;
DEALLOCATE PREPARE tk_step;
