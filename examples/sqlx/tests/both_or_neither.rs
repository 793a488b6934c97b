//! What `sqlx` commits is told; what it rolls back is not.

use bus_example_sqlx::{Club, Ear};
use tokio::sync::mpsc;

#[tokio::test]
async fn what_is_committed_is_told_and_what_is_rolled_back_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (ear, mut heard) = mpsc::unbounded_channel();
    let club = Club::open(&folder.path().join("club.db"), Ear(ear)).await.unwrap();
    club.join("Ada", true).await.unwrap();
    club.join("Mallory", false).await.unwrap();
    club.join("Ben", true).await.unwrap();
    club.bus.until_idle().await;
    let mut told = [heard.recv().await.unwrap(), heard.recv().await.unwrap()];
    // Order is kept for each member, not among them.
    told.sort();
    assert_eq!(told, ["create Ada", "create Ben"]);
    assert!(heard.try_recv().is_err());
    let members: Vec<String> =
        sqlx::query_scalar("SELECT name FROM member ORDER BY id").fetch_all(&club.pool).await.unwrap();
    assert_eq!(members, ["Ada", "Ben"]);
    assert_eq!(club.bus.outbox().await.unwrap().entries, 0);
    club.bus.shutdown().await;
}
