// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/watch/netlink.h"

#include <fmt/format.h>
#include <linux/genetlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include <cerrno>

namespace ballast::ctl::watch_events {
namespace {

constexpr const char* family = "TCM-USER";  // tcmu_genl_family, target_core_user.c
constexpr const char* group_name = "config";
constexpr int iscsi_group = 1;
constexpr int receive_bytes = 4 << 20;
// enum tcmu_genl_attr, linux/target_core_user.h
enum : int { attribute_device = 1, attribute_configuration = 4, attribute_size = 5 };
constexpr int most_attributes = 9;

Error failure(const char* what, int error) {
  if (error == -NLE_PERM) {
    return {EPERM, fmt::format("{}: this needs root", what)};
  }
  return {error == -NLE_OBJ_NOTFOUND ? ENOENT : EIO,
          fmt::format("{}: {}", what, nl_geterror(error))};
}

}  // namespace

Result<std::unique_ptr<Socket>> Socket::of_target() {
  std::unique_ptr<Socket> made{new Socket{Kind::target}};
  nl_sock* const socket = made->socket_.get();
  if (socket == nullptr) {
    return Error{ENOMEM, "no memory for a netlink socket"};
  }
  if (const int error = genl_connect(socket); error < 0) {
    return failure("generic netlink cannot be reached", error);
  }
  const int group = genl_ctrl_resolve_grp(socket, family, group_name);
  if (group < 0) {
    return failure("the kernel has no netlink family TCM-USER (is target_core_user loaded?)",
                   group);
  }
  if (const Result<void> done = made->listen(group); !done) {
    return done.error();
  }
  return made;
}

Result<std::unique_ptr<Socket>> Socket::of_initiator() {
  std::unique_ptr<Socket> made{new Socket{Kind::initiator}};
  nl_sock* const socket = made->socket_.get();
  if (socket == nullptr) {
    return Error{ENOMEM, "no memory for a netlink socket"};
  }
  if (const int error = nl_connect(socket, NETLINK_ISCSI); error < 0) {
    return failure("the kernel has no NETLINK_ISCSI (is iscsi_tcp loaded?)", error);
  }
  if (const Result<void> done = made->listen(iscsi_group); !done) {
    return done.error();
  }
  return made;
}

Result<void> Socket::listen(int group) {
  nl_sock* const socket = socket_.get();
  nl_socket_disable_seq_check(socket);
  nl_socket_disable_auto_ack(socket);
  nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, &Socket::receive, this);
  // Only root gets more than net.core.rmem_max. Another user gets as much as that allows.
  const int wanted = receive_bytes;
  if (::setsockopt(descriptor(), SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) != 0) {
    nl_socket_set_buffer_size(socket, receive_bytes, 0);
  }
  if (const int error = nl_socket_add_membership(socket, group); error < 0) {
    return failure("cannot listen to the kernel's messages", error);
  }
  if (const int error = nl_socket_set_nonblocking(socket); error < 0) {
    return failure("a netlink socket cannot be made non-blocking", error);
  }
  return {};
}

std::vector<Event> Socket::take(const std::map<std::uint32_t, std::string>& targets) {
  targets_ = &targets;
  events_.clear();
  for (;;) {
    const int error = nl_recvmsgs_default(socket_.get());
    if (error == -NLE_NOMEM) {  // ENOBUFS: the kernel dropped messages
      events_.push_back(
          {"lost", kind_ == Kind::target ? "target" : "initiator",
           "the kernel sent more messages than there was room for: some events are missing"});
    } else if (error < 0) {
      break;  // -NLE_AGAIN: there are no more messages
    }
  }
  targets_ = nullptr;
  return std::move(events_);
}

int Socket::receive(nl_msg* message, void* self) {
  // No exception may pass through libnl.
  try {
    static_cast<Socket*>(self)->parse(message);
  } catch (...) {
    return NL_STOP;
  }
  return NL_OK;
}

void Socket::parse(nl_msg* message) {
  nlmsghdr* const header = nlmsg_hdr(message);
  std::optional<Event> event;
  if (kind_ == Kind::initiator) {
    const std::span payload{static_cast<const std::byte*>(nlmsg_data(header)),
                            static_cast<std::size_t>(nlmsg_datalen(header))};
    event = iscsi_event(payload, *targets_);
  } else {
    nlattr* attributes[most_attributes + 1] = {};
    if (genlmsg_parse(header, 0, attributes, most_attributes, nullptr) < 0 ||
        attributes[attribute_device] == nullptr) {
      return;
    }
    TcmuMessage found;
    found.command = genlmsg_hdr(header)->cmd;
    found.device = nla_get_string(attributes[attribute_device]);
    if (nlattr* const text = attributes[attribute_configuration]) {
      found.configuration = nla_get_string(text);
    }
    if (nlattr* const size = attributes[attribute_size]; size && nla_len(size) == 8) {
      found.size_bytes = nla_get_u64(size);
    }
    event = event_of(found);
  }
  if (event) {
    events_.push_back(std::move(*event));
  }
}

}  // namespace ballast::ctl::watch_events
