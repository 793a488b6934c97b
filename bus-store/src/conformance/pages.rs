//! Laws of [`Pages`](crate::Pages), and of how the trees are written.

use bus_core::page::{PAGE, PAGE_DEPTH_MAX, PATH_CHARS_MAX, page_id};
use bus_core::{Alias, Culture, DeliveryState, ObjectKey, ObjectType, PageState, Site, SiteName};
use uuid::Uuid;

use super::bench::{Bench, at, connector, kind_of, save_new, task, user, user_key, waiting_for};
use super::wake::wait_for;
use super::{Rig, Verdict, needs_reopening};
use crate::identity::Binding;
use crate::pages::{NewNode, NodeRecord, PageContent, PageRecord, PageWrite, ParentNode};
use crate::queue::{Awaited, Outcome};
use crate::task_log::{Commit, Committed};
use crate::{StoreError, StoreErrorKind};

const CONFLICT: Option<StoreErrorKind> = Some(StoreErrorKind::Conflict);

/// A page comes back as it was saved, bytes that are no JSON included, by its GUID and by its path, whatever the case of that.
pub async fn a_page_comes_back_as_it_was_saved(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    let content = PageContent {
        culture: culture("en-US"),
        name: "News \u{1F9E6} 'ü'".to_owned(),
        state: PageState::Archived,
        data: vec![0xff, 0],
    };
    let node = NewNode { alias: alias("Näws"), ..new_node(1, None, "") };
    tree.write([PageWrite::Create { node, page: content.clone() }]).await.unwrap();
    let record = NodeRecord {
        guid: id(1),
        site: site("corp"),
        parent: None,
        alias: alias("Näws"),
        path: "/Näws".to_owned(),
        class_name: ObjectType::parse("app.article").unwrap(),
        cultures: vec![culture("en-US")],
        version: 1,
    };
    let store = &tree.bench.store;
    assert_eq!(store.node(id(1)).await.unwrap(), Some(record.clone()));
    assert_eq!(store.node_at(&site("corp"), "/NÄWS").await.unwrap(), Some(record.clone()));
    let page = PageRecord { node: record, content };
    assert_eq!(store.page(id(1), &culture("EN-us")).await.unwrap(), Some(page));
    assert_eq!(store.page(id(1), &culture("de-DE")).await.unwrap(), None);
    assert_eq!(store.node(id(2)).await.unwrap(), None);
    for (of, path) in [("branch", "/Näws"), ("corp", "Näws"), ("corp", "/Näws/"), ("corp", "/"), ("corp", "")]
    {
        assert_eq!(store.node_at(&site(of), path).await.unwrap(), None, "{of} {path}");
    }
}

/// A culture is added or replaced by a save, and the version of the node grows by one with each.
pub async fn a_node_is_a_page_in_each_of_its_cultures(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([create(1, None, "News")]).await.unwrap();
    tree.write([save(1, "en-US", "second", 1)]).await.unwrap();
    tree.write([save(1, "de-DE", "Neues", 2)]).await.unwrap();
    tree.write([save(1, "DE-de", "Neuestes", 3)]).await.unwrap();
    let node = tree.node(1).await.unwrap();
    assert_eq!(node.version, 4);
    assert_eq!(node.cultures, [culture("de-DE"), culture("en-US")]);
    for (asked, name) in [("en-US", "second"), ("de-DE", "Neuestes")] {
        let page = tree.bench.store.page(id(1), &culture(asked)).await.unwrap().unwrap();
        assert_eq!((page.content.name.as_str(), page.node.version), (name, 4));
    }
}

/// Whoever saw another version is refused, and nothing is changed: a node that is there, gone, or was written meanwhile.
pub async fn a_page_is_written_by_who_saw_it_as_it_is(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([create(1, None, "News")]).await.unwrap();
    tree.write([save(1, "en-US", "second", 1)]).await.unwrap();
    let refused = [
        create(1, None, "Other"),
        save(1, "en-US", "third", 1),
        save(2, "en-US", "nothing", 1),
        move_to(1, None, "Other", 1),
        delete(1, Some("en-US"), 1),
        delete(1, None, 3),
        delete(1, Some("de-DE"), 2),
    ];
    for write in refused {
        assert_eq!(kind_of(tree.write([write.clone()]).await), CONFLICT, "{write:?}");
    }
    assert_eq!(tree.paths("corp").await, ["/News"]);
    assert_eq!(tree.page_name(1, "en-US").await, "second");
    assert_eq!(tree.node(1).await.unwrap().version, 2);
}

/// On one site no two nodes have the same path, however it is written; the refusal names who has it.
pub async fn a_path_is_taken_once_on_a_site_whatever_its_case(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([create(1, None, "Über"), create(2, Some((1, 1)), "a")]).await.unwrap();
    for write in [create(3, None, "üBER"), create(3, Some((1, 1)), "A")] {
        let refused = tree.write([write]).await.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Conflict);
        assert!(refused.to_string().contains("cannot stand at /"), "{refused}");
    }
    tree.write([create_on("branch", 3, None, "über")]).await.unwrap();
    tree.write([create(4, None, "b")]).await.unwrap();
    assert_eq!(kind_of(tree.write([move_to(4, Some((1, 1)), "A", 1)]).await), CONFLICT);
    tree.write([move_to(1, None, "ÜBER", 1)]).await.expect("its own path in another case is free");
    assert_eq!(tree.paths("corp").await, ["/b", "/ÜBER", "/ÜBER/a"]);
}

/// What a page stands beneath is there, on the same site, and as the writer saw it.
pub async fn a_page_stands_beneath_one_of_its_site(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([create(1, None, "News"), create_on("branch", 2, None, "News")]).await.unwrap();
    let refused = tree.write([create(3, Some((2, 1)), "a")]).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Conflict);
    assert!(refused.to_string().contains("on site branch"), "{refused}");
    assert_eq!(kind_of(tree.write([create(3, Some((9, 1)), "a")]).await), CONFLICT);
    assert_eq!(kind_of(tree.write([move_to(1, Some((2, 1)), "a", 1)]).await), CONFLICT);
    tree.write([create(3, Some((1, 1)), "a")]).await.unwrap();
    assert_eq!(tree.node(3).await.unwrap().parent, Some(id(1)));
}

/// A page that was moved takes along what stands beneath it, and nothing that only begins with the same letters.
pub async fn a_moved_page_takes_its_subtree_along(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([
        create(1, None, "News"),
        create(2, Some((1, 1)), "2026"),
        create(3, Some((2, 1)), "Märchen"),
        create(4, None, "Newsletter"),
        create(5, None, "Archive"),
        create_on("branch", 6, None, "News"),
        create_on("branch", 7, Some((6, 1)), "2026"),
    ])
    .await
    .unwrap();
    tree.write([move_to(1, Some((5, 1)), "Old", 1)]).await.unwrap();
    assert_eq!(
        tree.paths("corp").await,
        ["/Archive", "/Archive/Old", "/Archive/Old/2026", "/Archive/Old/2026/Märchen", "/Newsletter"]
    );
    assert_eq!(tree.paths("branch").await, ["/News", "/News/2026"]);
    let found = tree.bench.store.node_at(&site("corp"), "/archive/old/2026/märchen").await.unwrap().unwrap();
    assert_eq!((found.guid, found.parent, found.alias.as_str()), (id(3), Some(id(2)), "Märchen"));
    let moved = tree.node(1).await.unwrap();
    assert_eq!((moved.parent, moved.alias.as_str()), (Some(id(5)), "Old"));
    tree.write([move_to(2, None, "İstanbul", 2)]).await.unwrap();
    tree.write([move_to(2, None, "Ω", 3)]).await.unwrap();
    assert_eq!(tree.paths("corp").await, ["/Archive", "/Archive/Old", "/Newsletter", "/Ω", "/Ω/Märchen"]);
    assert!(tree.bench.store.node_at(&site("corp"), "/ω/MÄRCHEN").await.unwrap().is_some());
}

/// Whoever saw a page before what it stands beneath was moved saw another path: its version has grown, too, and only its own.
pub async fn a_move_raises_the_version_of_the_whole_subtree(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([
        create(1, None, "a"),
        create(2, Some((1, 1)), "b"),
        create(3, Some((2, 1)), "c"),
        create(4, None, "other"),
    ])
    .await
    .unwrap();
    tree.write([move_to(1, Some((4, 1)), "a", 1)]).await.unwrap();
    for (number, version) in [(1, 2), (2, 2), (3, 2), (4, 1)] {
        assert_eq!(tree.node(number).await.unwrap().version, version, "page {number}");
    }
    assert_eq!(kind_of(tree.write([save(3, "en-US", "late", 1)]).await), CONFLICT);
    tree.write([save(3, "en-US", "again", 2)]).await.unwrap();
}

/// A save that tells of a path beneath one that has been moved, written, or deleted meanwhile is refused.
pub async fn a_page_beneath_one_that_changed_meanwhile_is_refused(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([create(1, None, "a"), create(2, None, "b"), create(3, Some((2, 1)), "c")]).await.unwrap();
    tree.write([move_to(1, None, "A2", 1)]).await.unwrap();
    assert_eq!(kind_of(tree.write([create(9, Some((1, 1)), "x")]).await), CONFLICT);
    assert_eq!(kind_of(tree.write([move_to(3, Some((1, 1)), "x", 1)]).await), CONFLICT);
    tree.write([delete(1, None, 2)]).await.unwrap();
    assert_eq!(kind_of(tree.write([create(9, Some((1, 2)), "x")]).await), CONFLICT);
    assert_eq!(tree.paths("corp").await, ["/b", "/b/c"]);
}

/// Neither a page itself nor what stands beneath it becomes its parent.
pub async fn nothing_moves_beneath_itself(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([create(1, None, "a"), create(2, Some((1, 1)), "b"), create(3, Some((2, 1)), "c")])
        .await
        .unwrap();
    for parent in [1, 2, 3] {
        let refused = tree.write([move_to(1, Some((parent, 1)), "x", 1)]).await.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Conflict);
        assert!(refused.to_string().contains("page /a cannot be moved beneath itself"), "{refused}");
    }
    tree.write([move_to(3, None, "ab", 1), move_to(1, Some((3, 2)), "a", 1)]).await.unwrap();
    assert_eq!(tree.paths("corp").await, ["/ab", "/ab/a", "/ab/a/b"]);
}

/// A page is deleted in one culture, and stays in the others; with the last one the node is gone.
pub async fn the_last_culture_takes_its_node_along(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([create(1, None, "a"), save(1, "de-DE", "A", 1), create(2, Some((1, 2)), "b")]).await.unwrap();
    tree.write([delete(1, Some("EN-us"), 2)]).await.expect("it stays a page in one culture");
    let node = tree.node(1).await.unwrap();
    assert_eq!((node.cultures, node.version), (vec![culture("de-DE")], 3));
    assert_eq!(tree.bench.store.page(id(1), &culture("en-US")).await.unwrap(), None);
    tree.write([delete(2, Some("en-US"), 1)]).await.unwrap();
    assert_eq!(tree.node(2).await, None);
    tree.write([save(1, "en-US", "a", 3), delete(1, None, 4)]).await.unwrap();
    assert_eq!(tree.paths("corp").await, [""; 0]);
    tree.write([create(1, None, "a")]).await.unwrap();
    assert_eq!(tree.node(1).await.unwrap().cultures, [culture("en-US")], "nothing is left of the former one");
    assert_eq!(tree.node(1).await.unwrap().version, 1);
}

/// As long as pages stand beneath a node it stays; the refusal says how many do.
pub async fn a_page_with_others_beneath_it_is_not_deleted(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([create(1, None, "a"), create(2, Some((1, 1)), "b"), create(3, Some((2, 1)), "c")])
        .await
        .unwrap();
    for whole_or_last in [delete(1, None, 1), delete(1, Some("en-US"), 1)] {
        let refused = tree.write([whole_or_last]).await.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Conflict);
        assert!(refused.to_string().contains("page /a has 2 pages beneath it"), "{refused}");
    }
    tree.write([delete(3, None, 1), delete(2, None, 1), delete(1, None, 1)]).await.unwrap();
    assert_eq!(tree.paths("corp").await, [""; 0]);
}

/// Nodes are listed by path, all of a site or those beneath one, page by page, whatever is written between the pages.
pub async fn nodes_are_listed_by_path_whatever_is_written_meanwhile(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([
        create(1, None, "b"),
        create(2, Some((1, 1)), "Z"),
        create(3, Some((1, 1)), "a"),
        create(4, None, "B-side"),
        create(5, None, "c"),
        create_on("branch", 6, None, "b"),
    ])
    .await
    .unwrap();
    assert_eq!(tree.list(None, None, 10).await, ["/b", "/B-side", "/b/a", "/b/Z", "/c"]);
    assert_eq!(tree.list(Some("/B"), None, 10).await, ["/b/a", "/b/Z"]);
    assert_eq!(tree.list(Some("/B"), Some("/b/a"), 10).await, ["/b/Z"]);
    assert_eq!(tree.list(Some("/b"), Some("/A"), 1).await, ["/b/a"], "before the first");
    assert_eq!(tree.list(Some("/b"), Some("/c"), 9).await, [""; 0], "after the last");
    assert_eq!(tree.list(Some("/nothing"), None, 9).await, [""; 0]);
    assert_eq!(tree.list(None, None, 0).await, [""; 0]);
    assert_eq!(tree.list(None, None, 2).await, ["/b", "/B-side"]);
    tree.write([delete(4, None, 1), create(7, None, "aa")]).await.unwrap();
    assert_eq!(tree.list(None, Some("/B-side"), 2).await, ["/b/a", "/b/Z"], "although that is gone");
}

/// A walk meets each node of the classes that it is about once, in the order in which they were made, whatever their sites, and
/// whatever is moved, deleted and made meanwhile.
pub async fn nodes_are_walked_in_the_order_in_which_they_were_made(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([create(1, None, "Z"), create_on("branch", 2, None, "A"), create(3, None, "B")])
        .await
        .unwrap();
    let article = [ObjectType::parse("app.article").unwrap()];
    let walked = async |after, limit| {
        let walked = tree.bench.store.walk_nodes(&article, after, limit).await.unwrap();
        walked.into_iter().map(|(place, node)| (place, node.guid)).collect::<Vec<_>>()
    };
    let first = walked(0, 2).await;
    assert_eq!(first.iter().map(|(_, guid)| *guid).collect::<Vec<_>>(), [id(1), id(2)]);
    tree.write([move_to(3, None, "A", 1), delete(1, None, 1), create(4, None, "Z")]).await.unwrap();
    let rest = walked(first[1].0, 10).await;
    assert_eq!(rest.iter().map(|(_, guid)| *guid).collect::<Vec<_>>(), [id(3), id(4)]);
    assert_eq!(walked(rest[1].0, 10).await, []);
    let other = [ObjectType::parse("app.other").unwrap()];
    assert_eq!(tree.bench.store.walk_nodes(&other, 0, 10).await.unwrap(), []);
}

/// `%` and `_` stand for themselves in aliases.
pub async fn an_alias_with_percent_and_underscore_is_an_alias(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    tree.write([
        create(1, None, "50%_a"),
        create(2, Some((1, 1)), "x"),
        create(3, None, "50 or more_a"),
        create(4, Some((3, 1)), "y"),
    ])
    .await
    .unwrap();
    assert_eq!(tree.list(Some("/50%_a"), None, 10).await, ["/50%_a/x"]);
    tree.write([move_to(1, None, "%", 1)]).await.unwrap();
    assert_eq!(tree.paths("corp").await, ["/%", "/%/x", "/50 or more_a", "/50 or more_a/y"]);
    tree.write([move_to(1, None, "_", 2)]).await.unwrap();
    assert_eq!(tree.paths("corp").await, ["/50 or more_a", "/50 or more_a/y", "/_", "/_/x"]);
}

/// Paths have a longest length and a deepest level, also those of what is moved along.
pub async fn a_path_that_is_too_long_or_too_deep_is_refused(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    let too_much = Some(StoreErrorKind::Unsupported);
    let deep = |number: u128| create(number, (number > 1).then(|| (number - 1, 1)), "d");
    for number in 1..=PAGE_DEPTH_MAX as u128 {
        tree.write([deep(number)]).await.unwrap();
    }
    assert_eq!(kind_of(tree.write([deep(PAGE_DEPTH_MAX as u128 + 1)]).await), too_much);
    tree.write([create(101, None, "top")]).await.unwrap();
    assert_eq!(kind_of(tree.write([move_to(1, Some((101, 1)), "d", 1)]).await), too_much);

    // Nine aliases of 100 characters, each with its stroke: 91 characters are left, and one of these is a stroke.
    let long = "ü".repeat(100);
    let levels = (PATH_CHARS_MAX - 91) / 101;
    for level in 0..levels as u128 {
        tree.write([create(201 + level, (level > 0).then(|| (200 + level, 1)), &long)]).await.unwrap();
    }
    let last = 200 + levels as u128;
    let left = PATH_CHARS_MAX - levels * 101 - 1;
    assert_eq!(kind_of(tree.write([create(300, Some((last, 1)), &"ü".repeat(left + 1))]).await), too_much);
    tree.write([create(300, Some((last, 1)), &"ü".repeat(left))]).await.unwrap();
    assert_eq!(kind_of(tree.write([move_to(201, Some((101, 1)), &long, 1)]).await), too_much);
    tree.write([move_to(201, None, "short", 1)]).await.unwrap();
    tree.write([move_to(201, Some((101, 1)), "short", 2)]).await.expect("shorter by now");
}

/// No page stands on a site that nobody has registered, and no site goes on which pages stand.
pub async fn pages_stand_on_registered_sites(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    let refused = tree.write([create_on("crop", 1, None, "a")]).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::NotFound);
    assert!(refused.to_string().contains("site `crop` is not registered"), "{refused}");
    tree.write([create_on("branch", 1, None, "a")]).await.unwrap();
    let refused = tree.bench.store.remove_site(&site("branch")).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Conflict);
    assert!(refused.to_string().contains("1 pages stand on it"), "{refused}");
    tree.write([delete(1, None, 1)]).await.unwrap();
    assert!(tree.bench.store.remove_site(&site("branch")).await.unwrap());
}

/// Pages, objects and tasks become true together, or not at all, whichever of them is refused.
pub async fn a_page_goes_with_the_rest_of_its_commit(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    let bench = &tree.bench;
    tree.write([create(1, None, "a"), create(2, Some((1, 1)), "b")]).await.unwrap();
    bench.save([user(1)]).await;
    let commit = |objects, pages| {
        let tasks = vec![task(&bench.queue, "x")];
        bench.store.commit(Commit { objects, tasks, pages, ..Commit::at(at(0)) })
    };
    let pages = || vec![move_to(1, None, "moved", 1), save(2, "en-US", "new", 2), create(3, None, "c")];
    assert_eq!(kind_of(commit(vec![save_new(user(1))], pages()).await), CONFLICT, "the object is there");
    let with_mistake = [pages(), vec![save(2, "en-US", "again", 2)]].concat();
    assert_eq!(
        kind_of(commit(vec![save_new(user(2))], with_mistake).await),
        CONFLICT,
        "the last page changed"
    );
    assert_eq!(tree.paths("corp").await, ["/a", "/a/b"]);
    assert_eq!(tree.page_name(2, "en-US").await, "b");
    assert_eq!(bench.store.object(&user_key(2)).await.unwrap(), None);
    assert_eq!(bench.claim(10, at(0)).await, []);
    commit(vec![save_new(user(2))], pages()).await.unwrap();
    assert_eq!(tree.paths("corp").await, ["/c", "/moved", "/moved/b"]);
    assert_eq!(tree.page_name(2, "en-US").await, "new");
    assert_eq!(bench.claim(10, at(0)).await.len(), 1);
}

/// Trees are there after the store was closed and opened.
pub async fn pages_survive_reopening(rig: &dyn Rig) -> Verdict {
    let mut tree = Tree::open(rig).await;
    needs_reopening!(tree.bench.store);
    tree.write([create(1, None, "a"), create(2, Some((1, 1)), "b"), move_to(1, None, "c", 1)]).await.unwrap();
    tree.bench.store.close().await;
    tree.bench.store = rig.open().await;
    assert_eq!(tree.paths("corp").await, ["/c", "/c/b"]);
    assert_eq!(tree.node(2).await.unwrap().version, 2);
    assert_eq!(tree.page_name(2, "en-US").await, "b");
    Verdict::Kept
}

/// An external id that is bound to a page finds it, whatever the case of the culture, while it is there in that culture; one of
/// another page is free as soon as that is gone.
pub async fn what_is_bound_to_a_page_counts_while_that_is_there(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    let known = async || {
        let crm = connector("crm");
        tree.bench.store.host_ids(&crm, &[(page_type(), "P-1".to_owned())]).await.expect("host ids").remove(0)
    };
    tree.bench.bind(bound(1, "de-DE", "P-1")).await;
    assert_eq!(known().await, None, "there is no such page");
    tree.write([create(1, None, "News")]).await.unwrap();
    assert_eq!(known().await, None, "not in this culture");
    tree.write([save(1, "de-DE", "Neues", 1)]).await.unwrap();
    assert_eq!(known().await, Some(page_id(id(1), "de-DE")));
    let taken = Commit { bindings_if_free: vec![bound(1, "en-US", "P-1")], ..Commit::at(at(0)) };
    assert_eq!(kind_of(tree.bench.store.commit(taken.clone()).await), CONFLICT);
    tree.write([delete(1, Some("de-DE"), 2)]).await.unwrap();
    assert_eq!(known().await, None, "it is gone in this culture");
    tree.bench.store.commit(taken).await.unwrap();
    assert_eq!(known().await, Some(page_id(id(1), "en-US")));
}

/// Who waits for a page, or for its node in any culture, is woken when that is saved, and not by another.
pub async fn a_page_wakes_who_waits_for_it(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    let bench = &tree.bench;
    let node = wait_for(bench, vec![Awaited::Page { node: id(1), culture: None }]).await;
    let german = wait_for(bench, vec![Awaited::Page { node: id(1), culture: Some(culture("DE-de")) }]).await;
    tree.write([create(2, None, "Other")]).await.unwrap();
    assert_eq!(bench.claim(10, at(0)).await, [], "another page");
    tree.write([create(1, None, "News")]).await.unwrap();
    assert_eq!(bench.claim(10, at(0)).await, [node]);
    bench.settle(node, Outcome::Completed).await;
    assert_eq!(bench.state(german).await, DeliveryState::Waiting, "another culture");
    tree.write([save(1, "de-DE", "Neues", 1)]).await.unwrap();
    assert_eq!(bench.claim(10, at(0)).await, [german]);
    bench.settle(german, Outcome::Completed).await;
    let there = Awaited::Page { node: id(1), culture: Some(culture("en-us")) };
    let [late] = bench.log(["late"]).await;
    assert_eq!(bench.claim(10, at(0)).await, [late]);
    bench.settle(late, waiting_for(there, 1_000)).await;
    assert_eq!(bench.claim(10, at(0)).await, [late], "what is there already is not waited for");
}

/// Who waits for an external id that is bound to a page which is not there is woken when it is.
pub async fn a_page_wakes_who_waits_for_its_external_id(rig: &dyn Rig) {
    let tree = Tree::open(rig).await;
    let bench = &tree.bench;
    let (connector, object_type) = (connector("crm"), page_type());
    let known = Awaited::Known { connector, object_type, external_id: "P-1".to_owned() };
    let waiter = wait_for(bench, vec![known]).await;
    bench.bind(bound(1, "en-US", "P-1")).await;
    assert_eq!(bench.claim(10, at(0)).await, [], "bound, but to nothing that is there");
    tree.write([create(1, None, "News")]).await.unwrap();
    assert_eq!(bench.claim(10, at(0)).await, [waiter]);
}

/// A store with the sites `branch` and `corp`.
struct Tree {
    bench: Bench,
}

impl Tree {
    async fn open(rig: &dyn Rig) -> Self {
        let bench = Bench::open(rig).await;
        for name in ["branch", "corp"] {
            let site = Site::new(name).unwrap().cultures(["en-US", "de-DE"]).unwrap();
            bench.store.save_site(site).await.expect("save site");
        }
        Self { bench }
    }

    async fn write<const N: usize>(&self, pages: [PageWrite; N]) -> Result<Committed, StoreError> {
        self.bench.store.commit(Commit { pages: pages.into(), ..Commit::at(at(0)) }).await
    }

    async fn node(&self, number: u128) -> Option<NodeRecord> {
        self.bench.store.node(id(number)).await.expect("node")
    }

    async fn page_name(&self, number: u128, of: &str) -> String {
        let page = self.bench.store.page(id(number), &culture(of)).await.expect("page");
        page.map(|page| page.content.name).unwrap_or_default()
    }

    async fn paths(&self, of: &str) -> Vec<String> {
        let nodes = self.bench.store.list_nodes(&site(of), None, None, 100).await.expect("list nodes");
        nodes.into_iter().map(|node| node.path).collect()
    }

    async fn list(&self, beneath: Option<&str>, after: Option<&str>, limit: usize) -> Vec<String> {
        let nodes =
            self.bench.store.list_nodes(&site("corp"), beneath, after, limit).await.expect("list nodes");
        nodes.into_iter().map(|node| node.path).collect()
    }
}

fn page_type() -> ObjectType {
    ObjectType::parse(PAGE).expect("an object type")
}

fn bound(number: u128, of: &str, external_id: &str) -> Binding {
    let object = ObjectKey { object_type: page_type(), id: page_id(id(number), of) };
    Binding { connector: connector("crm"), object, external_id: external_id.to_owned() }
}

fn create(number: u128, parent: Option<(u128, i64)>, alias: &str) -> PageWrite {
    create_on("corp", number, parent, alias)
}

fn create_on(on: &str, number: u128, parent: Option<(u128, i64)>, alias: &str) -> PageWrite {
    let node = NewNode { site: site(on), ..new_node(number, parent, alias) };
    PageWrite::Create { node, page: content("en-US", alias) }
}

fn new_node(number: u128, parent: Option<(u128, i64)>, named: &str) -> NewNode {
    NewNode {
        guid: id(number),
        site: site("corp"),
        parent: parent_node(parent),
        alias: alias(if named.is_empty() { "x" } else { named }),
        class_name: ObjectType::parse("app.article").expect("a class"),
    }
}

fn save(number: u128, of: &str, name: &str, version: i64) -> PageWrite {
    PageWrite::Save { node: id(number), page: content(of, name), version }
}

fn move_to(number: u128, parent: Option<(u128, i64)>, named: &str, version: i64) -> PageWrite {
    PageWrite::Move { node: id(number), parent: parent_node(parent), alias: alias(named), version }
}

fn delete(number: u128, of: Option<&str>, version: i64) -> PageWrite {
    PageWrite::Delete { node: id(number), culture: of.map(culture), version }
}

fn parent_node(parent: Option<(u128, i64)>) -> Option<ParentNode> {
    parent.map(|(number, version)| ParentNode { guid: id(number), version })
}

fn content(of: &str, name: &str) -> PageContent {
    PageContent { culture: culture(of), name: name.to_owned(), state: PageState::Draft, data: b"{}".to_vec() }
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn alias(alias: &str) -> Alias {
    Alias::parse(alias).expect("an alias")
}

fn culture(name: &str) -> Culture {
    Culture::parse(name).expect("a culture")
}

fn site(name: &str) -> SiteName {
    SiteName::parse(name).expect("a site's name")
}
