// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/core/store.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "lib/backend/access_session.h"
#include "lib/backend/nbd_links.h"
#include "lib/backend/shared_store.h"
#include "lib/write_log/logged_store.h"

namespace ballast::ctl::core {
namespace {

using write_log::Ages;
using write_log::LoggedStore;
using write_log::Pacer;
using write_log::Position;
using write_log::Ring;
using write_log::WriteLog;

// Of an image in Ceph, the session that is open: its own, or that of a shared one.
std::optional<Object> image_session(const DeadLun& dead) {
  if (!dead.image.has_value()) {
    return std::nullopt;
  }
  std::optional<Object> own = dead.image->target("session");
  return own.has_value() || !dead.shared.has_value() ? own : dead.shared->target("session");
}

void set_connection(const DeadLun& dead, watch::LunSnapshot& snapshot) {
  if (const std::optional<Object> session = image_session(dead); session.has_value()) {
    snapshot.connection = backend::AccessSession::connection(session->flag("lost"));
    snapshot.connection_since = session->time("since");
  } else if (dead.nbd.has_value()) {
    snapshot.connection = backend::NbdLinks::word(dead.nbd->flag("connected"));
    snapshot.connection_since = dead.nbd->time("since");
  }
}

void set_access(const Object& shared, watch::LunSnapshot& snapshot) {
  const std::optional<Object> session = shared.target("session");
  snapshot.access =
      backend::SharedStore::condition_of(static_cast<backend::Access>(shared.number("access")),
                                         session.has_value() && !session->flag("lost"));
  snapshot.owner = shared.string("owner");
}

// Since when the store does not have what the log has.
std::optional<TimePoint> oldest(const DeadLog& dead) {
  const std::uint64_t begin = dead.contents.number("marks");
  const std::uint64_t end = dead.contents.number("marks_end");
  if (dead.contents.number("runs") == 0 || end < begin) {
    return std::nullopt;
  }
  std::vector<Ages::Mark> marks(
      std::min<std::uint64_t>((end - begin) / sizeof(Ages::Mark), Ages::most));
  if (!dead.contents.reader().bytes(begin, std::as_writable_bytes(std::span{marks}))) {
    return std::nullopt;
  }
  const std::optional<TimePoint> found = Ages::of(dead.tail().sequence, marks);
  return found.has_value() ? std::optional{believable(*found)} : std::nullopt;
}

const char* state_of(const DeadLog& dead, TimePoint now) {
  const bool empty = dead.tail().sequence == position(dead.contents, "end").sequence;
  const Object& front = dead.front;
  return LoggedStore::condition(
      WriteLog::state_of(dead.reaper.flag("is_stuck"), dead.log.flag("device_failure"), empty),
      front.flag("let_go"), front.flag("past") && !front.flag("past_status"),
      front.flag("going_past") || (front.flag("leaving") && now < front.time("wanted_until")));
}

watch::LogView log_view(const DeadLog& dead, TimePoint now) {
  const Bytes size{dead.ring.number("segments") * dead.ring.number("segment_bytes")};
  return {.state = state_of(dead, now),
          .device = dead.front.string("log_name"),
          .used = Bytes{Ring::used_of(position(dead.ring, "tail"), position(dead.ring, "next"),
                                      size.value())},
          .size = size,
          .first = dead.tail().sequence,
          .last = dead.writer.number("written"),
          .oldest = oldest(dead),
          .store_speed = Pacer::speed_of(dead.pacer.number("bytes"), dead.pacer.duration("time")),
          .epoch = dead.writer.number("epoch")};
}

}  // namespace

Position position(const Object& object, std::string_view field) {
  const std::optional<Object> its = object.part(field);
  return its.has_value()
             ? Position{.sequence = its->number("sequence"), .offset = its->number("offset")}
             : Position{};
}

std::optional<DeadLog> DeadLog::of(const DeadLun& dead) {
  const std::optional<Object> log = dead.logged ? dead.logged->target("log") : std::nullopt;
  if (!log.has_value()) {
    return std::nullopt;
  }
  const std::optional<Object> contents = log->part("contents");
  const std::optional<Object> ring = log->part("ring");
  const std::optional<Object> pacer = log->part("pacer");
  const std::optional<Object> writer = log->part("writer");
  const std::optional<Object> reaper = log->part("reaper");
  if (!contents || !ring || !pacer || !writer || !reaper) {
    return std::nullopt;
  }
  return DeadLog{*dead.logged, *log, *contents, *ring, *pacer, *writer, *reaper};
}

Position DeadLog::tail() const {
  const std::optional<Object> first =
      contents.number("block_count") != 0 ? contents.target("blocks") : std::nullopt;
  return first.has_value()
             ? Position{.sequence = first->number("sequence"), .offset = first->number("offset")}
             : position(contents, "end");
}

void describe_store(const DeadLun& dead, TimePoint now, watch::LunSnapshot& snapshot) {
  set_connection(dead, snapshot);
  if (dead.shared.has_value()) {
    set_access(*dead.shared, snapshot);
  }
  const std::optional<DeadLog> log = DeadLog::of(dead);
  if (!log.has_value()) {
    return;
  }
  snapshot.log = log_view(*log, now);
  // Its name was made when it was opened.
  const std::string suffix = ";log=" + snapshot.log->device;
  if (log->front.flag("let_go") && snapshot.backend.ends_with(suffix)) {
    snapshot.backend.resize(snapshot.backend.size() - suffix.size());
  }
}

}  // namespace ballast::ctl::core
