//! A struct that was another one before, and one before that; a version may be left out.

use bus_core::descriptor::DescribedObject;
use bus_core::{BusObject, Ref};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user", version = 1)]
struct UserV1 {
    #[object(id)]
    id: i64,
}

mod earlier {
    use super::{BusObject, Deserialize, Ref, Serialize, UserV1};

    #[derive(Serialize, Deserialize, BusObject)]
    #[object(type = "app.user", version = 2, from = super::UserV1)]
    pub struct UserV2 {
        #[object(id)]
        pub id: i64,
        pub manager: Option<Ref<UserV2>>,
    }

    impl From<UserV1> for UserV2 {
        fn from(was: UserV1) -> Self {
            Self { id: was.id, manager: None }
        }
    }
}

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user", version = 4, from = earlier::UserV2)]
struct User {
    #[object(id)]
    id: i64,
    managers: Vec<Ref<User>>,
}

impl From<earlier::UserV2> for User {
    fn from(was: earlier::UserV2) -> Self {
        let managers = was.manager.iter().filter_map(Ref::host_id).copied().map(Ref::host);
        Self { id: was.id, managers: managers.collect() }
    }
}

fn main() {
    let versions: Vec<_> = User::DESCRIPTOR.formers().map(|former| former.version).collect();
    assert_eq!((User::VERSION, versions), (4, vec![2, 1]));
}
