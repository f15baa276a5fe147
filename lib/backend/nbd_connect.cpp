// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd_connect.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>

#include "lib/base/unique_fd.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

using Clock = std::chrono::steady_clock;

// The specification's bound for servers that name none.
constexpr Bytes usual_maximum{std::uint64_t{32} << 20};
constexpr const char* allocation = "base:allocation";

struct Failure {
  Error why;
  bool definite = false;
};

template <class... Args>
Failure for_now(int errno_value, fmt::format_string<Args...> format, Args&&... args) {
  return {Error{errno_value, fmt::format(format, std::forward<Args>(args)...)}, false};
}
template <class... Args>
Failure for_good(int errno_value, fmt::format_string<Args...> format, Args&&... args) {
  return {Error{errno_value, fmt::format(format, std::forward<Args>(args)...)}, true};
}

template <class T>
using Step = std::variant<T, Failure>;

// Waits for the socket, looking at `unwanted` ten times a second. Returns the events; 0 if time is
// over or nobody wants the connection.
short wait_for(int fd, short events, Clock::time_point until,
               const std::function<bool()>& unwanted) {
  while (Clock::now() < until && !unwanted()) {
    pollfd one{.fd = fd, .events = events, .revents = 0};
    if (::poll(&one, 1, 100) > 0) {
      return one.revents;
    }
  }
  return 0;
}

// --- connecting

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

// Returns a connected socket, or the reason with errno_value.
Result<UniqueFd> connect_to(const Address& address, Nanoseconds patience,
                            const std::function<bool()>& unwanted) {
  const int family = address.storage.ss_family;
  UniqueFd fd{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd) {
    return Error{errno, std::strerror(errno)};
  }
  int error = 0;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) !=
      0) {
    error = errno;
    if (error == EINPROGRESS) {
      const short events = wait_for(fd.get(), POLLOUT, Clock::now() + patience, unwanted);
      socklen_t length = sizeof error;
      if (events == 0) {
        error = ETIMEDOUT;
      } else if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
        error = errno;
      }
    }
  }
  if (error != 0) {
    return Error{error, std::strerror(error)};
  }
  if (family != AF_UNIX) {
    const int on = 1;
    (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // A machine that is switched off says nothing. Keepalive finds that out after 40 s. The kernel
    // of a server that hangs still answers, so a slow server stays connected. TCP_USER_TIMEOUT
    // would end its connection, too (tcp_probe_timer in net/ipv4/tcp_timer.c).
    const int idle = 10;
    const int interval = 5;
    const int probes = 6;
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  }
  return fd;
}

Step<UniqueFd> connect_to_socket(const NbdConfig& config, const NbdPatience& patience,
                                 const std::function<bool()>& unwanted) {
  struct stat status {};
  if (::stat(config.server.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode)) {
    return for_good(ENOTSOCK,
                    "cannot connect to {}: it is no socket: name the Unix socket of an NBD server",
                    config.server);
  }
  Address address;
  auto* const unix_address = reinterpret_cast<sockaddr_un*>(&address.storage);
  unix_address->sun_family = AF_UNIX;
  config.server.copy(unix_address->sun_path, sizeof unix_address->sun_path - 1);
  address.length = sizeof *unix_address;
  Result<UniqueFd> fd = connect_to(address, patience.connect, unwanted);
  if (!fd) {
    const int error = fd.error().errno_value;
    Failure failure = for_now(error, "cannot connect to {}: {}: is an NBD server running there?",
                              config.server, fd.error().message);
    failure.definite = error == EACCES || error == EPERM;
    return failure;
  }
  return std::move(fd).value();
}

// "[::1]" as people write it in URIs is an address, too.
std::string host_of(std::string_view server) {
  if (server.size() > 2 && server.starts_with('[') && server.ends_with(']')) {
    server = server.substr(1, server.size() - 2);
  }
  return std::string{server};
}

Step<UniqueFd> connect_to_host(const NbdConfig& config, const NbdPatience& patience,
                               const std::function<bool()>& unwanted) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host_of(config.server).c_str(),
                                  std::to_string(config.port).c_str(), &hints, &found);
  if (error != 0) {
    Failure failure = for_now(EHOSTUNREACH, "cannot resolve the name {}: {}",
                              config::quote(config.server), ::gai_strerror(error));
    failure.definite = error == EAI_NONAME;
    return failure;
  }
  struct Free {
    void operator()(addrinfo* all) const { ::freeaddrinfo(all); }
  };
  const std::unique_ptr<addrinfo, Free> addresses{found};
  Error last{EHOSTUNREACH, "the name has no address"};
  for (const addrinfo* one = addresses.get(); one != nullptr && !unwanted(); one = one->ai_next) {
    Address address;
    address.length = std::min<socklen_t>(one->ai_addrlen, sizeof address.storage);
    std::memcpy(&address.storage, one->ai_addr, address.length);
    Result<UniqueFd> fd = connect_to(address, patience.connect, unwanted);
    if (fd) {
      return std::move(fd).value();
    }
    last = fd.error();
  }
  return for_now(last.errno_value, "cannot connect to {}: {}: is an NBD server running there?",
                 server_of(config), last.message);
}

// --- the handshake

// Returns the name in the first line of a file of psktool, "name:key".
Step<std::string> psk_user(const std::string& path) {
  std::ifstream file{path};
  for (std::string line; file.is_open() && std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (!line.starts_with('#') && colon != std::string::npos && colon > 0) {
      return line.substr(0, colon);
    }
  }
  if (!file.is_open()) {
    return for_good(errno, "cannot read the key for TLS in {}: {}", path, std::strerror(errno));
  }
  return for_good(EINVAL,
                  "cannot use {} for TLS: it has no line <name>:<key>: make it with psktool", path);
}

class Handshake {
 public:
  Handshake(const NbdConfig& config, const NbdPatience& patience,
            const std::function<bool()>& unwanted)
      : config_{config}, patience_{patience}, unwanted_{unwanted} {}

  Step<NbdPeer> shake(UniqueFd fd);

 private:
  bool prepare();
  bool advance();
  Failure broken() const;
  Failure refused(int error) const;
  Step<NbdPeer> ready();
  static int went(void* self, int* error) {
    static_cast<Handshake*>(self)->refusal_ = *error;
    return 1;
  }
  static int moves(void* self, const char*, const char* message);
  // `state`: in libnbd's words; null: not known.
  void look_at(const char* state);

  const NbdConfig& config_;
  const NbdPatience& patience_;
  const std::function<bool()>& unwanted_;
  std::string user_;
  bool in_tls_ = false;  // it asks for TLS, or makes it
  bool timed_out_ = false;
  int refusal_ = 0;   // the server's answer to the wish for the export
  NbdHandle handle_;  // goes first: it calls moves()
};

void Handshake::look_at(const char* state) {
  const bool asks_for_another = state != nullptr && std::strstr(state, "NEWSTYLE.OPT_") != nullptr;
  in_tls_ = asks_for_another ? std::strstr(state, "OPT_STARTTLS") != nullptr : in_tls_;
}

// One turn of libnbd may go through several states, so the state that is seen between two turns
// does not tell in which one it failed: the library's own words about each move do. libnbd 1.22
// says nothing of its moves, and there the state between two turns must do.
int Handshake::moves(void* self, const char*, const char* message) {
  if (const char* const state = std::strstr(message, " -> "); state != nullptr) {
    static_cast<Handshake*>(self)->look_at(state);
  }
  return 0;
}

bool Handshake::prepare() {
  nbd_handle* const handle = handle_.get();
  const nbd_debug_callback moved{.callback = &Handshake::moves, .user_data = this, .free = nullptr};
  const bool plain = nbd().set_debug_callback(handle, moved) == 0 &&
                     nbd().set_debug(handle, true) == 0 && nbd().set_opt_mode(handle, true) == 0 &&
                     nbd().set_export_name(handle, config_.export_name.c_str()) == 0 &&
                     nbd().add_meta_context(handle, allocation) == 0;
  return plain && (config_.tls == NbdConfig::Tls::off ||
                   (nbd().set_tls(handle, LIBNBD_TLS_REQUIRE) == 0 &&
                    nbd().set_tls_psk_file(handle, config_.tls_psk_file.c_str()) == 0 &&
                    nbd().set_tls_username(handle, user_.c_str()) == 0));
}

// Lets the handshake go on until it waits for us, or has failed. Returns false if it failed.
bool Handshake::advance() {
  nbd_handle* const handle = handle_.get();
  while (nbd().aio_is_connecting(handle) == 1) {
    look_at(nbd().connection_state(handle));
    const unsigned direction = nbd().aio_get_direction(handle);
    const bool reads = (direction & LIBNBD_AIO_DIRECTION_READ) != 0;
    const bool writes = (direction & LIBNBD_AIO_DIRECTION_WRITE) != 0;
    const short wanted = static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
    const short events =
        wait_for(nbd().aio_get_fd(handle), wanted, Clock::now() + patience_.handshake, unwanted_);
    if (events == 0) {
      timed_out_ = true;
      return false;
    }
    const bool write_only = (events & POLLOUT) != 0 && (events & POLLIN) == 0;
    const int result = writes && (write_only || !reads) ? nbd().aio_notify_write(handle)
                                                        : nbd().aio_notify_read(handle);
    if (result != 0) {
      return false;
    }
  }
  return nbd().aio_is_dead(handle) == 0 && nbd().aio_is_closed(handle) == 0;
}

Failure Handshake::broken() const {
  const std::string server = server_of(config_);
  if (timed_out_) {
    return for_now(ETIMEDOUT, "the handshake with {} has stopped: the server does not answer",
                   server);
  }
  const bool closed = nbd().aio_is_closed(handle_.get()) == 1;
  const std::string why{closed ? "the server closed the connection" : nbd_error_text()};
  if (in_tls_) {
    return for_good(EACCES,
                    "TLS with {} failed: {}: the server must use TLS, and have the key of {}",
                    server, why, config_.tls_psk_file);
  }
  const int error = closed ? 0 : nbd().get_errno();
  Failure failure =
      for_now(error != 0 ? error : ECONNRESET, "the handshake with {} failed: {}", server, why);
  failure.definite = error == EINVAL || error == EPROTO || error == ENOTSUP;
  return failure;
}

Failure Handshake::refused(int error) const {
  if (error == ENOTSUP && config_.tls == NbdConfig::Tls::off) {
    return for_good(EACCES,
                    "cannot open {}: the server lets nobody in without TLS: add tls=require and "
                    "tls_psk_file=/path",
                    describe(config_));
  }
  if (error == ENOENT) {
    return for_good(ENOENT, "cannot open {}: the server has no such export", describe(config_));
  }
  return for_good(error, "cannot open {}: the server refuses it: {}", describe(config_),
                  std::strerror(error));
}

Step<NbdPeer> Handshake::ready() {
  nbd_handle* const handle = handle_.get();
  const std::int64_t size = nbd().get_size(handle);
  if (size < 0) {
    return for_good(EFBIG, "cannot open {}: {}", describe(config_), nbd_error_text());
  }
  NbdPeer peer;
  NbdOffer& offer = peer.offer;
  const auto block = [&](int which, Bytes usual) {
    const std::int64_t value = nbd().get_block_size(handle, which);
    return value > 0 ? Bytes{static_cast<std::uint64_t>(value)} : usual;
  };
  offer.size = Bytes{static_cast<std::uint64_t>(size)};
  offer.minimum = block(LIBNBD_SIZE_MINIMUM, Bytes{1});
  offer.preferred = block(LIBNBD_SIZE_PREFERRED, Bytes{});
  offer.maximum = std::min(block(LIBNBD_SIZE_MAXIMUM, usual_maximum), usual_maximum);
  offer.read_only = nbd().is_read_only(handle) == 1;
  offer.flush = nbd().can_flush(handle) == 1;
  offer.fua = nbd().can_fua(handle) == 1;
  offer.trim = nbd().can_trim(handle) == 1;
  offer.zero = nbd().can_zero(handle) == 1;
  offer.multi_conn = nbd().can_multi_conn(handle) == 1;
  offer.block_status = nbd().can_meta_context(handle, allocation) == 1;
  nbd().set_debug(handle, false);
  nbd().clear_debug_callback(handle);
  peer.handle = std::move(handle_);
  return peer;
}

Step<NbdPeer> Handshake::shake(UniqueFd fd) {
  if (config_.tls == NbdConfig::Tls::require) {
    Step<std::string> user = psk_user(config_.tls_psk_file);
    if (Failure* const failure = std::get_if<Failure>(&user)) {
      return std::move(*failure);
    }
    user_ = std::get<std::string>(std::move(user));
  }
  handle_.reset(nbd().create());
  if (handle_ == nullptr || !prepare()) {
    return for_now(nbd().get_errno(), "cannot prepare a connection to {}: {}", server_of(config_),
                   nbd_error_text());
  }
  // The handle owns the socket from now on, also after a failure.
  if (nbd().aio_connect_socket(handle_.get(), fd.release()) != 0 || !advance()) {
    return broken();
  }
  if (nbd().aio_is_negotiating(handle_.get()) == 1) {
    const nbd_completion_callback told{
        .callback = &Handshake::went, .user_data = this, .free = nullptr};
    if (nbd().aio_opt_go(handle_.get(), told) != 0 || !advance()) {
      return broken();
    }
    if (refusal_ != 0) {
      return refused(refusal_);
    }
  }
  if (nbd().aio_is_ready(handle_.get()) != 1) {
    return broken();
  }
  return ready();
}

Step<NbdPeer> attempt(const NbdConfig& config, const std::function<bool()>& unwanted,
                      const NbdPatience& patience) {
  if (const Result<const NbdLibrary*> library = nbd_library(); !library) {
    return Failure{library.error(), true};
  }
  Step<UniqueFd> fd = config.is_unix_socket() ? connect_to_socket(config, patience, unwanted)
                                              : connect_to_host(config, patience, unwanted);
  if (Failure* const failure = std::get_if<Failure>(&fd)) {
    return std::move(*failure);
  }
  Handshake handshake{config, patience, unwanted};
  return handshake.shake(std::get<UniqueFd>(std::move(fd)));
}

}  // namespace

NbdAttempt connect_nbd(const NbdConfig& config, const std::function<bool()>& unwanted,
                       const NbdPatience& patience) {
  Step<NbdPeer> step = attempt(config, unwanted, patience);
  if (Failure* const failure = std::get_if<Failure>(&step)) {
    return {std::move(failure->why), failure->definite};
  }
  return {std::get<NbdPeer>(std::move(step)), false};
}

}  // namespace ballast::backend
