// SPDX-License-Identifier: Apache-2.0
// For the tests against a real Ceph: other processes that own an image, the cluster's daemons, and
// Ceph's own tools, each with a time limit.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace ballast::rbd_test {

// The process ends with 77 if tests/rbd/cluster did not start it.
void require_cluster();
// "rbd=<pool/image>;conf=<the cluster's>" and `more`.
std::string config(const std::string& image, const std::string& more = "");

// Runs a shell command for 30 seconds at most. Its output goes to `output`, if given. Returns
// whether it succeeded.
bool shell(const std::string& command, std::string* output = nullptr);
// The process number of a daemon of the cluster: "osd.0", "mon".
pid_t daemon(const std::string& name);

// Stops a process, and waits until each of its threads stands still: on a busy machine that takes
// long enough to answer a request.
void stop(pid_t process);

// A daemon that stands still while this object lives.
class Frozen {
 public:
  explicit Frozen(const std::string& name);
  ~Frozen();
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  const pid_t pid_;
};

// Another process of this program: started with the arguments, it says one line on its standard
// output when it is ready. It is killed when this object is destroyed.
class Process {
 public:
  explicit Process(const std::vector<std::string>& arguments);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Returns its next line; empty if it ended, or said nothing for 60 s.
  std::string line();
  void signal(int number) const;
  // Waits for its end. Returns its exit status; -1 if a signal ended it.
  int exit_status();
  // Sends SIGKILL and waits for its end.
  void kill();

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

}  // namespace ballast::rbd_test
