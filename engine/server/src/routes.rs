//! All services behind one door, and which of them a call is for: its path begins with the name.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use countersign_wire::v1::admin_server::AdminServer;
use countersign_wire::v1::event_feed_server::EventFeedServer;
use countersign_wire::v1::market_data_server::MarketDataServer;
use countersign_wire::v1::order_entry_server::OrderEntryServer;
use countersign_wire::v1::transfers_server::TransfersServer;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;
use tower_service::Service;

use crate::admin::Admin;
use crate::feed::Feed;
use crate::market_data::MarketData;
use crate::orders::Orders;
use crate::transfers::Transfers;

#[derive(Clone)]
pub struct Routes {
    pub orders: OrderEntryServer<Orders>,
    pub books: MarketDataServer<MarketData>,
    pub feed: EventFeedServer<Feed>,
    pub transfers: TransfersServer<Transfers>,
    pub admin: AdminServer<Admin>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Service<Request<Body>> for Routes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // as each service says of itself
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let service = request.uri().path().trim_start_matches('/').split('/').next();
        match service.unwrap_or_default() {
            OrderEntryServer::<Orders>::NAME => self.orders.call(request),
            MarketDataServer::<MarketData>::NAME => self.books.call(request),
            EventFeedServer::<Feed>::NAME => self.feed.call(request),
            TransfersServer::<Transfers>::NAME => self.transfers.call(request),
            AdminServer::<Admin>::NAME => self.admin.call(request),
            _ => Box::pin(async { Ok(Status::unimplemented("there is no such service").into_http()) }),
        }
    }
}
