// SPDX-License-Identifier: Apache-2.0
// RbdSession: one connection to an image, the operations on it, and the thread for its blocking
// calls.
//
// A session ends as a whole: if its image was lost or given back, its connection is not used again.
// Operations that still hang keep it, so end() may take as long as the cluster hangs. Meanwhile
// another session may use the image.
//
// Driving thread only, unless a function says something else.
#pragma once

#include <memory>
#include <string>

#include "lib/backend/rbd_connection.h"
#include "lib/backend/rbd_probe.h"
#include "lib/backend/rbd_requests.h"
#include "lib/backend/rbd_size_watch.h"
#include "lib/base/units.h"
#include "lib/co/executor.h"
#include "lib/co/gate.h"
#include "lib/co/task.h"
#include "lib/io/helper_thread.h"

namespace ballast::backend {

// An image that is open and, if the configuration says so, ours.
struct RbdImage {
  std::unique_ptr<RbdConnection> connection;
  RbdTraits traits;
  bool encrypted = false;
  // Ours, as the lock's owner; empty: we have no lock.
  std::string address{};
};

class RbdSession {
 public:
  // `lun_size` says how large the LUN is, and outlives the session.
  RbdSession(co::Executor& executor, RbdImage image, const Bytes& lun_size)
      : image_{std::move(image)},
        since_{executor.now()},
        running_{executor, "an image's last operation"},
        control_{executor},
        requests_{executor, image_.connection->admin_socket()},
        size_watch_{executor, control_, *image_.connection, image_.traits.size, lun_size} {}

  co::Executor& executor() { return control_.executor(); }
  RbdConnection& connection() { return *image_.connection; }
  rbd_image_t handle() const { return image_.connection->image(); }

  // Every operation is inside.
  co::Gate& running() { return running_; }
  // For calls that block. They run one after the other.
  io::HelperThread& control() { return control_; }

  const std::string& address() const { return image_.address; }
  void owns_as(std::string address) { image_.address = std::move(address); }
  // The cluster refuses this connection, or the lock belongs to another client.
  bool lost() const { return lost_; }
  void lose() {
    lost_ = true;
    since_ = executor().now();
  }
  // Since when it is connected, or lost.
  TimePoint since() const { return since_; }

  // What its operations wait for in the cluster.
  RbdRequests& requests() { return requests_; }
  // An operation is about to begin.
  void begin() { size_watch_.begin(); }

  // Waits until the last operation has ended, and closes the connection. If the image is ours, it
  // is given back in order. Call it once; no operation may begin after it.
  co::Task<void> end();

 private:
  RbdImage image_;
  bool lost_ = false;
  TimePoint since_;
  co::Gate running_;
  io::HelperThread control_;
  RbdRequests requests_;
  RbdSizeWatch size_watch_;
};

}  // namespace ballast::backend
