//! How many transfers there are.

use towline_core::Counts;

use crate::codes;
use crate::reader::Session;
use crate::rows;
use crate::trouble::Trouble;

impl Session {
    /// See [`Store::count`](towline_core::Store::count). What goes on and what
    /// has stopped is counted in the indexes of these, and the rest is done: so
    /// no row is read.
    pub(crate) fn count(&mut self) -> Result<Counts, Trouble> {
        // All three of one moment.
        let moment = self.db.unchecked_transaction()?;
        let mut counts = Counts::default();
        let stopped = "SELECT phase, count(*) FROM transfers INDEXED BY transfers_stopped
             WHERE phase >= 50 AND phase <> 100 GROUP BY phase";
        let mut statement = self.db.prepare_cached(stopped)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let phase = codes::phase_of(row.get(0)?, 0);
            let phase = phase.ok_or_else(|| rows::unknown("phase"))?;
            counts.add(phase, row.get::<_, i64>(1)?.cast_unsigned());
        }
        let count = |sql| -> Result<u64, Trouble> {
            let count: i64 = self.db.query_row(sql, [], |row| row.get(0))?;
            Ok(count.cast_unsigned())
        };
        counts.going =
            count("SELECT count(*) FROM transfers INDEXED BY transfers_going WHERE phase < 50")?;
        counts.completed = count("SELECT count(*) FROM transfers")?.saturating_sub(counts.all());
        drop(moment);
        Ok(counts)
    }
}
