#![allow(unused)]

use bus_core::{Cx, Failure, Incoming, Prepared, Received, connector};
use bus_tests_macros::{Article, Contact, connects, delivers};

#[connector(name = "cms")]
#[outgoing(Article)]
#[incoming(Contact, key = uid, conflict = host_wins)]
struct Cms;

connects!(Cms);
delivers!(Cms: Article);

impl Incoming<Contact> for Cms {
    type Object = Article;

    async fn prepare_internal_object(
        &self,
        _: Received<Contact, Article>,
        _: &Cx,
    ) -> Result<Prepared<Article>, Failure> {
        Ok(Prepared::existing())
    }
}

fn main() {}
