// SPDX-License-Identifier: Apache-2.0
// The two netlink sockets of `ballastctl watch`, through libnl.
//
// A socket has a file descriptor to wait for. take() reads the messages that are there and never
// blocks. The receive buffers are large, because LUNs come by the hundred at boot. If messages are
// lost all the same, that is an event. Single-threaded.
#pragma once

#include <netlink/netlink.h>

#include <functional>
#include <memory>

#include "lib/base/result.h"
#include "targetcli-config/ballastctl/watch/watch.h"

namespace ballast::ctl::watch_events {

class Socket {
 public:
  // The generic netlink family TCM-USER, group "config". ENOENT: the module is not loaded.
  static Result<std::unique_ptr<Socket>> of_target();
  // NETLINK_ISCSI, group 1 (ISCSI_NL_GRP_ISCSID), which iscsid uses, too. Needs root.
  static Result<std::unique_ptr<Socket>> of_initiator();

  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int descriptor() const { return nl_socket_get_fd(socket_.get()); }
  // `targets`: as for iscsi_event() (watch.h).
  std::vector<Event> take(const std::map<std::uint32_t, std::string>& targets);

 private:
  struct Release {
    void operator()(nl_sock* socket) const noexcept { nl_socket_free(socket); }
  };
  enum class Kind { target, initiator };
  explicit Socket(Kind kind) : kind_{kind}, socket_{nl_socket_alloc()} {}
  static int receive(nl_msg* message, void* self);
  Result<void> listen(int group);
  void parse(nl_msg* message);

  const Kind kind_;
  std::unique_ptr<nl_sock, Release> socket_;
  const std::map<std::uint32_t, std::string>* targets_ = nullptr;  // during take()
  std::vector<Event> events_;
};

}  // namespace ballast::ctl::watch_events
