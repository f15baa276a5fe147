// SPDX-License-Identifier: Apache-2.0
// Plays, with a folder, the parts of sysfs and configfs that the plugin reads: the name of a uio
// device, and the attributes of its backstore. The host has an open() that the plugin finds before
// libc's; it leads the plugin to this folder.
#pragma once

#include <string>

namespace ballast::ring_test {

// Makes a backstore in the state that it has when it has just been enabled.
void add_to_configfs(const std::string& uio_name);
// Writes an attribute as rtslib does, and reads it as targetcli does.
void set_attribute(const std::string& uio_name, const char* name, int value);
int attribute(const std::string& uio_name, const char* name);

// A target port group of a backstore, and a TPG of an iSCSI target.
void set_group(const std::string& uio_name, const std::string& group, int id,
               const std::string& members);
void set_tpg(const std::string& target, int tag, bool enabled);

// Where the played file of a backstore is: "alua/gw1/members".
std::string configfs_file(const std::string& uio_name, const std::string& file);

// If set, it decides whether the plugin's open() fails with EMFILE. `caller`: the code that called
// open().
extern bool (*refuse_open)(const void* caller);

}  // namespace ballast::ring_test
