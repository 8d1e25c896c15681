package rollout

import (
	corev1 "k8s.io/api/core/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (p *problems) containers(list []corev1.Container, at *field.Path, names, volumes map[string]bool) {
	for i := range list {
		c, at := &list[i], at.Index(i)
		if c.Name == "" {
			p.required(at.Child("name"), "", "give the container a name")
		} else {
			for _, text := range utilvalidation.IsDNS1123Label(c.Name) {
				p.invalid(at.Child("name"), c.Name, text, "use small letters, digits and dashes in the container's name")
			}
		}
		if c.Image == "" {
			p.required(at.Child("image"), "", "give the container an image")
		}
		if c.Name != "" && names[c.Name] {
			p.add(field.Duplicate(at.Child("name"), c.Name), "give each container a name of its own")
		}
		names[c.Name] = true
		p.ports(c.Ports, at.Child("ports"))
		p.mounts(c.VolumeMounts, at.Child("volumeMounts"), volumes)
		for k := range c.Env {
			if c.Env[k].Name == "" {
				p.required(at.Child("env").Index(k).Child("name"), "", "give the environment variable a name")
			}
		}
	}
}

func (p *problems) ports(list []corev1.ContainerPort, at *field.Path) {
	for i, port := range list {
		at := at.Index(i).Child("containerPort")
		if port.ContainerPort == 0 {
			p.required(at, "", "give the port of the container its number")
			continue
		}
		for _, text := range utilvalidation.IsValidPortNum(int(port.ContainerPort)) {
			p.invalid(at, port.ContainerPort, text, "choose a port number that exists")
		}
	}
}

// volumes checks the names of the volumes, and returns them; nil where some could not be
// read.
func (p *problems) volumes(list []corev1.Volume, at *field.Path) map[string]bool {
	if p.follows(at.String()) {
		return nil
	}
	names := map[string]bool{}
	for i := range list {
		switch name, at := list[i].Name, at.Index(i).Child("name"); {
		case name == "":
			p.required(at, "", "give the volume a name")
		case names[name]:
			p.add(field.Duplicate(at, name), "give each volume a name of its own")
		}
		names[list[i].Name] = true
	}
	return names
}

func (p *problems) mounts(list []corev1.VolumeMount, at *field.Path, volumes map[string]bool) {
	paths := map[string]bool{}
	for i := range list {
		m, at := &list[i], at.Index(i)
		switch {
		case m.Name == "":
			p.required(at.Child("name"), "", "name the volume that is mounted")
		case volumes != nil && !volumes[m.Name]:
			p.add(field.NotFound(at.Child("name"), m.Name), "add the volume to spec.template.spec.volumes")
		}
		switch {
		case m.MountPath == "":
			p.required(at.Child("mountPath"), "", "say where the volume is mounted")
		case paths[m.MountPath]:
			p.invalid(at.Child("mountPath"), m.MountPath, "must be unique", "mount each volume at a path of its own")
		}
		paths[m.MountPath] = true
	}
}
