use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split},
    net::TcpListener,
};

use super::*;

/// How long something may take that takes no time.
const SOON: Duration = Duration::from_secs(10);

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

/// As many as [`MAX_CONNECTIONS`] allows would take more files than a process may have open here.
#[tokio::test]
async fn connections_that_say_nothing_hold_up_no_other() {
    let relay = relay().await;
    let (listener, port) = target().await;
    let mut idle = Vec::new();
    for number in 0..=150_u8 {
        let connection = relay.connect("127.0.0.1", port).await.expect("connected");
        let (mut server, _) = listener.accept().await.expect("accepted");
        let (mut client, passed) = pair().await;
        tokio::spawn(connection.join(passed));
        let echoed = async {
            client.write_u8(number).await?;
            assert_eq!(server.read_u8().await?, number);
            server.write_u8(number).await?;
            client.read_u8().await
        };
        let echoed = timeout(SOON, echoed).await.unwrap_or_else(|_| panic!("connection {number} stands still"));
        assert_eq!(echoed.expect("passed on"), number);
        idle.push((client, server));
    }
}

/// Each end of a connection, by whichever side, as TCP itself tells it.
#[tokio::test]
async fn an_end_is_the_same_on_the_other_side() {
    let relay = relay().await;
    let (listener, port) = target().await;
    let connected = async || {
        let connection = relay.connect("127.0.0.1", port).await.expect("connected");
        let (server, _) = listener.accept().await.expect("accepted");
        let (client, passed) = pair().await;
        (client, server, tokio::spawn(connection.join(passed)))
    };
    let read = async |from: &mut TcpStream| {
        let mut text = String::new();
        timeout(SOON, from.read_to_string(&mut text)).await.expect("its end").map(|_| text)
    };

    // The client closes, and then the server.
    let (client, mut server, joined) = connected().await;
    drop(client);
    assert_eq!(read(&mut server).await.expect("closed"), "");
    drop(server);
    timeout(SOON, joined).await.expect("it ends").expect("no panic").expect("both ended well");

    // The server closes, with something for the client.
    let (mut client, mut server, joined) = connected().await;
    server.write_all(b"farewell").await.expect("written");
    drop(server);
    assert_eq!(read(&mut client).await.expect("closed"), "farewell");
    drop(client);
    timeout(SOON, joined).await.expect("it ends").expect("no panic").expect("both ended well");

    // One direction ends before the other, by either side.
    for client_first in [true, false] {
        let (client, server, joined) = connected().await;
        let (mut first, mut second) = if client_first { (client, server) } else { (server, client) };
        first.shutdown().await.expect("shut down");
        assert_eq!(read(&mut second).await.expect("ended"), "");
        second.write_all(b"still open").await.expect("written");
        drop(second);
        assert_eq!(read(&mut first).await.expect("closed"), "still open");
        timeout(SOON, joined).await.expect("it ends").expect("no panic").expect("both ended well");
    }

    // Whoever closes with something unread resets (RFC 2525, section 2.17): testcontainers never reads what ryuk acknowledges.
    for client_first in [true, false] {
        let (client, server, joined) = connected().await;
        let (first, mut second) = if client_first { (client, server) } else { (server, client) };
        second.write_all(b"ACK\n").await.expect("written");
        timeout(SOON, first.peek(&mut [0])).await.expect("it comes").expect("readable");
        drop(first);
        let reset = read(&mut second).await.expect_err("reset");
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
        timeout(SOON, joined).await.expect("it ends").expect("no panic").expect_err("it broke");
    }
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
