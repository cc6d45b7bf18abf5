//! stub
use kube::CustomResourceExt;
fn main() {
    print!("{}", serde_saphyr::to_string(&sumu_operator::sumu_stack::SumuStack::crd()).unwrap());
}
