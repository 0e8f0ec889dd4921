use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split},
    net::TcpListener,
};

use super::*;

/// A relay to an agent of this process, through a narrow stream.
async fn relay() -> Relay {
    let (near, far) = duplex(4 << 10);
    let (reader, writer) = split(far);
    tokio::spawn(serve_agent(reader, writer));
    let (reader, writer) = split(near);
    Relay::begin(reader, writer).await.expect("an agent")
}

/// A port of this process that takes connections, and one that refuses them.
async fn target() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// The two ends of a TCP connection.
async fn pair() -> (TcpStream, TcpStream) {
    let (listener, port) = target().await;
    let (near, far) = tokio::join!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)), listener.accept());
    (near.expect("connected"), far.expect("accepted").0)
}

#[tokio::test]
async fn each_direction_has_its_own_end() {
    let relay = relay().await;
    let (listener, port) = target().await;
    let connection = relay.connect("127.0.0.1", port).await.expect("connected");
    let (mut server, _) = listener.accept().await.expect("accepted");
    let (mut client, passed) = pair().await;
    let joined = tokio::spawn(connection.join(passed));
    // More than all windows and buffers hold.
    let sent: Vec<u8> = (0..10_000_000_u32).map(|n| (n % 251) as u8).collect();
    let expected = sent.clone();
    let served = tokio::spawn(async move {
        let mut all = Vec::new();
        server.read_to_end(&mut all).await.expect("read");
        assert!(all == expected);
        server.write_all(b"after the end").await.expect("written");
    });
    client.write_all(&sent).await.expect("written");
    client.shutdown().await.expect("shut down");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("read");
    assert_eq!(answer, "after the end");
    served.await.expect("it ended");
    joined.await.expect("it ended").expect("both directions ended well");
}

#[tokio::test]
async fn a_connection_that_nobody_reads_holds_up_no_other() {
    let relay = relay().await;
    let (listener, port) = target().await;
    let stuck = relay.connect("127.0.0.1", port).await.expect("connected");
    let (mut full, _) = listener.accept().await.expect("accepted");
    let (unread, passed) = pair().await;
    tokio::spawn(stuck.join(passed));
    tokio::spawn(async move { full.write_all(&vec![0; 64 << 20]).await });
    for _ in 0..20 {
        let connection = relay.connect("127.0.0.1", port).await.expect("connected");
        let (mut server, _) = listener.accept().await.expect("accepted");
        let (mut client, passed) = pair().await;
        tokio::spawn(connection.join(passed));
        server.write_all(b"x").await.expect("written");
        assert_eq!(client.read_u8().await.expect("read"), b'x');
    }
    drop(unread);
}

#[tokio::test]
async fn what_is_refused_or_broken_is_said() {
    let relay = relay().await;
    let (listener, port) = target().await;
    drop(listener);
    let error = relay.connect("127.0.0.1", port).await.expect_err("nobody listens").to_string();
    assert!(error.contains("refused"), "{error}");
    assert!(matches!(relay.connect("no host", port).await, Err(RelayError::NoAddress(_))));

    // A target that resets is no end to its client.
    let (listener, port) = target().await;
    let connection = relay.connect("127.0.0.1", port).await.expect("connected");
    let (server, _) = listener.accept().await.expect("accepted");
    let (mut client, passed) = pair().await;
    tokio::spawn(connection.join(passed));
    server.set_zero_linger().expect("set");
    drop(server);
    let ended = client.read_u8().await.expect_err("reset");
    assert_eq!(ended.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_says_nothing_is_gone() {
    let (near, far) = duplex(4 << 10);
    let (reader, writer) = split(far);
    let agent = tokio::spawn(serve_agent(reader, writer));
    let (reader, writer) = split(near);
    let relay = Relay::begin(reader, writer).await.expect("an agent");
    relay.is_there().await.expect("there");
    agent.abort();
    assert!(relay.is_there().await.is_err() || relay.connect("127.0.0.1", 1).await.is_err());

    // And one whose stream stands still.
    let (near, _far) = duplex(1 << 20);
    let (reader, writer) = split(near);
    let silent = Relay::begin(reader, writer).await.expect("nothing is waited for");
    let began = tokio::time::Instant::now();
    assert!(silent.connect("127.0.0.1", 1).await.is_err());
    assert!(began.elapsed() <= PING.0 + PING.1 * 2, "{:?}", began.elapsed());
}
