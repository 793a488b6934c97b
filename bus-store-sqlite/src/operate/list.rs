//! Counts and lists of deliveries.

use bus_core::DeliveryState;
use bus_store::operate::{DeliveryFilter, DeliverySummary, PAGE_ROWS_MAX, QueueCounts};
use rusqlite::{Connection, params};

use super::select::{
    Columns, LINE_STATE, Looked, SIDE_STATE, codes_of, select_history, select_line, select_side, shown,
    summary,
};
use crate::code::{count, limit as sql_limit};
use crate::error::Fault;

/// How many fresh deliveries of the line are looked at to say which of them are blocked. Those behind count as
/// available until the line comes to them: a look at all of them would cost as much as there are.
pub(super) const FRESH_ROWS_LOOKED_AT_MAX: i64 = 10_000;

pub(super) fn queue_counts(db: &Connection, looked: &Looked) -> Result<QueueCounts, Fault> {
    let mut counts = QueueCounts::default();
    let side = format!(
        "SELECT {SIDE_STATE} AS shown, count(*) FROM bus_side s
         LEFT JOIN bus_lane l ON l.queue = s.queue AND l.key = s.key WHERE s.queue = ?1 AND ?3 >= 0 GROUP BY shown"
    );
    // Of the line: all that is claimed, and the first of what is fresh.
    let line = format!(
        "SELECT shown, count(*) FROM (
             SELECT {LINE_STATE} AS shown FROM bus_pending p
             LEFT JOIN bus_lane l ON l.queue = p.queue AND l.key = p.key
             WHERE p.queue = ?1 ORDER BY p.seq
             LIMIT ?3 + (SELECT count(*) FROM bus_pending w
                         WHERE w.queue = ?1 AND w.seq <= (SELECT claimed_to FROM bus_queue WHERE id = ?1))
         ) GROUP BY shown"
    );
    let mut seen = 0;
    for sql in [side, line] {
        let mut find = db.prepare_cached(&sql)?;
        let mut rows = find.query([looked.id, looked.holding, FRESH_ROWS_LOOKED_AT_MAX])?;
        while let Some(row) = rows.next()? {
            let more = count(row.get(1)?);
            seen += more;
            counts.add(shown(row.get(0)?)?, more);
        }
    }
    let open = db
        .prepare_cached("SELECT open FROM bus_queue WHERE id = ?1")?
        .query_row([looked.id], |row| row.get(0))
        .map(count)?;
    let beyond = open.saturating_sub(seen);
    *if looked.holding < i64::MAX { &mut counts.blocked } else { &mut counts.available } += beyond;
    Ok(counts)
}

pub(super) fn deliveries(
    db: &Connection,
    looked: &Looked,
    filter: &DeliveryFilter,
) -> Result<Vec<DeliverySummary>, Fault> {
    let limit = if filter.limit == 0 { PAGE_ROWS_MAX } else { filter.limit.min(PAGE_ROWS_MAX) };
    let after = filter.after.map_or(0, |delivery| delivery.0);
    let wanted = filter.state.map(codes_of);
    let is_wanted = |state: &str| wanted.map_or(String::new(), |codes| format!("AND {state} IN ({codes})"));
    let sources = if filter.state.is_some_and(DeliveryState::is_final) {
        vec![format!(
            "{} WHERE h.queue = ?1 AND ?2 IS NOT NULL AND h.seq > ?3 AND (?5 IS NULL OR h.key = ?5) {}
             ORDER BY h.seq LIMIT ?4",
            select_history(Columns::Listed),
            is_wanted("10 + h.state")
        )]
    } else {
        let side = format!(
            "{} WHERE s.queue = ?1 AND s.seq > ?3 AND (?5 IS NULL OR s.key = ?5) {} ORDER BY s.seq LIMIT ?4",
            select_side(Columns::Listed),
            is_wanted(SIDE_STATE)
        );
        let line = line_end(filter.state).map(|end| {
            format!(
                "{} WHERE p.queue = ?1 AND p.seq > ?3 AND (?5 IS NULL OR p.key = ?5) {end} {} ORDER BY p.seq LIMIT ?4",
                select_line(Columns::Listed),
                is_wanted(LINE_STATE)
            )
        });
        [Some(side), line].into_iter().flatten().collect()
    };
    let mut found = Vec::new();
    for sql in sources {
        let mut find = db.prepare_cached(&sql)?;
        let mut rows =
            find.query(params![looked.id, looked.holding, after, sql_limit(limit), filter.key.as_deref()])?;
        while let Some(row) = rows.next()? {
            found.push(summary(row, &looked.queue)?);
        }
    }
    found.sort_unstable_by_key(|summary| summary.delivery);
    found.truncate(limit);
    Ok(found)
}

/// How far the line is looked through for this state: not beyond where it can be, and not through all of a backlog.
/// `None` when it is not to be found in the line.
fn line_end(state: Option<DeliveryState>) -> Option<String> {
    const CLAIMED_TO: &str = "(SELECT claimed_to FROM bus_queue WHERE id = ?1)";
    match state {
        None | Some(DeliveryState::Available) => Some(String::new()),
        Some(DeliveryState::Running) => Some(format!("AND p.seq <= {CLAIMED_TO}")),
        Some(DeliveryState::Blocked) => Some(format!(
            "AND p.seq <= coalesce((SELECT seq FROM bus_pending WHERE queue = ?1 AND seq > {CLAIMED_TO}
                                    ORDER BY seq LIMIT 1 OFFSET {FRESH_ROWS_LOOKED_AT_MAX}), {})",
            i64::MAX
        )),
        Some(_) => None,
    }
}
