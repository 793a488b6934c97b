#![allow(unused)]

struct Crm;

bus_core::register!(Crm);

fn main() {}
