// SPDX-License-Identifier: Apache-2.0
// Prints the tables of handler/tcmur_abi.h: `ours` the daemon's, `ours ring` the kernel's.
#include <cstdio>

#include "handler/tcmur_abi.h"

using namespace ballast::handler::abi;

#define SIZE(type) std::printf("sizeof " #type " %zu\n", sizeof(type));
#define FIELD(type, field)                                                         \
  std::printf("offset " #type "." #field " %zu size %zu\n", offsetof(type, field), \
              sizeof(static_cast<type*>(nullptr)->field));
#define VALUE(name) std::printf("value " #name " %lld\n", static_cast<long long>(name));
#define ENTRY_SIZE() std::printf("sizeof tcmu_cmd_entry %zu\n", tcmu_cmd_entry_size);
#define REQ(field)                                                        \
  std::printf("offset req." #field " %zu size %zu\n",                     \
              sizeof(tcmu_cmd_entry_hdr) + offsetof(tcmu_cmd_req, field), \
              sizeof(static_cast<tcmu_cmd_req*>(nullptr)->field));
#define REQ_IOV() \
  std::printf("offset req.iov %zu\n", sizeof(tcmu_cmd_entry_hdr) + sizeof(tcmu_cmd_req));
#define RSP(field)                                                        \
  std::printf("offset rsp." #field " %zu size %zu\n",                     \
              sizeof(tcmu_cmd_entry_hdr) + offsetof(tcmu_cmd_rsp, field), \
              sizeof(static_cast<tcmu_cmd_rsp*>(nullptr)->field));

int main(int argc, char**) {
  if (argc == 1) {
#include "tests/abi/table.inc"
  } else {
#include "tests/abi/ring_table.inc"
  }
}
